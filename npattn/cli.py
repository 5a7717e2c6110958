"""The command line: `npattn COMMAND …`.

Exit code 0 is success, 1 a failed check, 2 what cannot be done, 130 Ctrl-C.
"""

import argparse
import importlib
import os
import sys
import warnings
from functools import partial

from npattn import __version__
from npattn.commands import InputError

COMMANDS = (
    "demo", "gpt", "train", "adapt", "check", "crosscheck", "exercise", "heatmap", "explore",
    "llm", "embed", "bench", "figures",
)


def main(arguments=None):
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
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
    _say(options.command, message)
    return code


def _say(command, message, *_, **__):
    """One line; of a warning without the place in the code that Python would add."""
    print(f"npattn {command}: {message}", file=sys.stderr)


def _parser():
    parser = argparse.ArgumentParser(
        prog="npattn", description="Attention in plain NumPy, every gradient written by hand."
    )
    parser.add_argument("--version", action="version", version=f"npattn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"npattn.commands.{name}")
        command = commands.add_parser(
            name, help=module.HELP, description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(command)
        command.set_defaults(run=module.run)
    return parser
