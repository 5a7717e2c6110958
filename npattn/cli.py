"""The command line: `npattn COMMAND …`.

Exit code 0 is success, 1 a failed check, 2 what cannot be done, 130 Ctrl-C.
"""

import argparse
import codecs
import contextlib
import importlib
import os
import sys
import warnings
from functools import partial

from npattn import __version__
from npattn.commands import InputError

COMMANDS = (
    "demo", "gpt", "train", "adapt", "check", "crosscheck", "exercise", "heatmap", "explore",
    "llm", "embed", "bench", "figures", "doctor",
)
PLAIN = {  # for terminals and files whose encoding lacks a character
    "→": "->", "←": "<-", "…": "...", "–": "-", "—": "-", "−": "-", "·": "*", "×": "x", "√": "sqrt",
    "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "∞": "inf", "∂": "d", "Σ": "sum ", "∑": "sum ",
    "∈": " in ", "⊙": "*", "ᵀ": "^T", "²": "^2", "³": "^3", "⁻": "^-", "¹": "1", "½": "1/2",
    "“": '"', "”": '"', "‘": "'", "’": "'", "✓": "yes", "✗": "no", "␣": "_",
}  # fmt: skip
GREETING = """\
npattn: attention in plain NumPy, every gradient written by hand. Three things to try:

    npattn demo "3rd of March 2021"           a Transformer reads a date; pictures of where it looks
    npattn exercise                           write a gradient, and be told which mistake was made
    npattn check --only attention             every entry of a gradient, proved by complex step

npattn --help lists all commands; npattn COMMAND --help explains one.
"""


def main(arguments=None):
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="npattn")
    options = _parser().parse_args(arguments)
    os.environ["MPLBACKEND"] = "agg"  # figures are written and not shown
    try:
        _require_threads()
        with warnings.catch_warnings():
            warnings.showwarning = partial(_say, options.command)
            return options.run(options)
    except BrokenPipeError:  # the reader, `head` for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except InputError as error:
        code, message = 2, error
    except OSError as error:  # a disk that is full, a folder that is somebody else's
        code, message = 2, f"{error.filename}: {error.strerror}" if error.filename else error
    except KeyboardInterrupt as interrupt:
        code, message = 130, str(interrupt) or "interrupted"
    with contextlib.suppress(OSError):  # nobody may be there to hear it
        _say(options.command, message)
    return code


def _require_threads():
    """NPATTN_THREADS, where it is set, as `tiled_attention` takes it."""
    if "NPATTN_THREADS" in os.environ:
        from npattn.kernels.tiling.threads import thread_count

        try:
            thread_count()
        except ValueError as error:
            raise InputError(f"{error}; unset it, or set it to the number of threads") from error


def _say(command, message, *_, **__):
    """One line, whatever a path holds; of a warning without the place that Python would add."""
    message = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(message))
    print(f"npattn {command}: {message}" if command else f"npattn: {message}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments, as the commands do."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help explains\n")


def _greet(options):
    print(GREETING, end="")
    return 0


def _in_plain_characters(error):
    """The `errors` of our streams: a character that the encoding lacks, in ones that it has.

    What has no spelling in PLAIN is written as \\u and its number.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    plain = [PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text]
    return "".join(plain), error.end


codecs.register_error("npattn", _in_plain_characters)


def _parser():
    parser = _Parser(
        prog="npattn", description="Attention in plain NumPy, every gradient written by hand."
    )
    parser.add_argument("--version", action="version", version=f"npattn {__version__}")
    parser.set_defaults(run=_greet)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"npattn.commands.{name}")
        command = commands.add_parser(
            name, help=module.HELP, description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(command)
        command.set_defaults(run=module.run)
    return parser
