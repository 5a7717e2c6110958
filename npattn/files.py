"""Files that are whole or absent."""

import errno
import os
import socket
import stat
import uuid
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

UNFINISHED = ".unfinished"  # how the name of a file ends while it is written
HOST = socket.gethostname()


def replace_file(path, content):
    """Write bytes to a file in one step, so that no reader ever sees half of it. Returns the Path.

    The content is written beside the file, flushed to the disk, then put in its place in one
    move: a crash at any moment leaves what was there, or all of the new. A symbolic link stays
    a link, and what it points to is replaced. The permissions of a file stay. A device or a pipe
    is written to.
    Raises OSError, naming `path`, where that cannot be. Then the file is as it was.
    """
    replace_files({path: content})
    return Path(path)


def replace_files(contents):
    """`replace_file` of several, {path: bytes}: each is written before the first is moved.

    So a disk that is full leaves all files as they were, and never a new one beside an old one.
    """
    moves = []
    try:
        for path, content in contents.items():
            with _naming(path):
                target = Path(os.path.realpath(path))
                mode = _mode(target)
                if mode is None or stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                    name = f"{_start(target)}{os.getpid()}.{uuid.uuid4().hex}{UNFINISHED}"
                    moves.append((path, target.with_name(name), target))
                    _write(target.with_name(name), content, mode)
                else:
                    target.write_bytes(content)
        for path, unfinished, target in moves:
            with _naming(path):
                os.replace(unfinished, target)
                remove_left_over(target)
    finally:
        for _, unfinished, _ in moves:
            with suppress(OSError):  # it has been moved, or was never made
                unfinished.unlink()


@contextmanager
def _naming(path):
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def new_file(path, content):
    """`replace_file` where there is nothing yet. Raises FileExistsError if there is."""
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    return replace_file(path, content)


def _write(path, content, mode):
    with path.open("wb") as file:
        if mode is not None:
            os.chmod(path, stat.S_IMODE(mode))
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _mode(path):
    """What kind of file it is, with its permissions; None if there is none."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _start(target):
    """How the names begin under which a file is written; short enough with what follows."""
    return f".{target.name[:40]}.{HOST[:20]}."


@lru_cache(maxsize=256)
def remove_left_over(target):
    """Remove what killed processes of this computer left of this file; looked for once."""
    if os.name != "posix":  # elsewhere no harmless question tells whether a process lives
        return
    start = _start(target)
    for path in target.parent.iterdir():
        if path.name.startswith(start) and path.name.endswith(UNFINISHED):
            pid = path.name.removeprefix(start).split(".")[0]
            if pid.isdigit() and not _lives(int(pid)):
                path.unlink(missing_ok=True)


def _lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
