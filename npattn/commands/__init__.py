"""The commands of `npattn`, one module each.

A command module has HELP (one line), configure(parser), and run(options) -> exit code. It imports
what it needs inside `run`, so that `npattn --help` answers at once. What cannot be is refused
before any work is done.
"""

import argparse
import os
import tempfile


class InputError(Exception):
    """What the user asked for cannot be done: one line that says what to change. Exit code 2."""


def utf8(argument):
    """The type of an argument that is a text: UTF-8, also where the locale is another."""
    try:
        return argument.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        raise argparse.ArgumentTypeError(f"{argument!r} is no text in UTF-8") from None


def require_seed(seed):
    """Raises InputError for a --seed that NumPy would not take."""
    if seed < 0:
        raise InputError(f"--seed must be at least 0, got {seed}")


def require_folder(argument, path):
    """Raises InputError if `path` is no folder and cannot be made one."""
    there = next((place for place in (path, *path.parents) if os.path.lexists(place)), path)
    if not there.is_dir():
        raise InputError(f"{argument} {path}: {there} is a file; name a folder")
    if not os.access(there, os.W_OK):
        raise InputError(f"{argument} {path} cannot be written to; choose another place")


def require_file(argument, path, *suffixes):
    """Raises InputError unless `path` can be a file to write, ending in one of `suffixes`.

    None, for no file at all, is fine; without suffixes so is any ending. Whether a file can be
    made in the folder is tried out: rights alone do not tell.
    """
    if path is None:
        return
    if suffixes and path.suffix.lower() not in suffixes:
        raise InputError(f"{argument} {path} must end in {' or '.join(suffixes)}")
    try:
        if path.is_dir():
            raise InputError(f"{argument} {path} is a folder; name a file")
        if not path.parent.is_dir():
            raise InputError(f"{argument} {path}: there is no folder {path.parent}")
        if path.exists():
            path.open("ab").close()
        else:
            tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise InputError(
            f"{argument} {path} cannot be written to ({error.strerror}); choose another place"
        ) from error
