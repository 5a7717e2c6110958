"""What an error says where an argument is of another kind than the function takes.

No function asks for the kinds of all arguments before it works, which would cost time and refuse
what would do. Where Python or NumPy refuses one later, the error names it: it is the argument
that stands in the refused line.
"""

import inspect
import linecache
import re
import reprlib
import traceback
from typing import get_args

import numpy as np

REFUSALS = ArithmeticError, AttributeError, LookupError, TypeError, ValueError
UNPACKED = re.compile("unpack|must be an iterable|is not iterable|not subscriptable")


def foreign_argument(f, args, options, error):
    """What to say of one of the REFUSALS that ended f(*args, **options); nothing if it is an error
    of our own or of a function that was handed over, or not about the kind of an argument."""
    signature, frames = inspect.signature(f), _frames(error)
    try:
        given = signature.bind_partial(*args, **options).arguments
    except TypeError:  # too many of them, which Python says itself
        return ""
    if any(package not in ("npattn", "numpy") for *_, package in frames):
        return ""
    if isinstance(error, AttributeError):
        names = [name for name, value in given.items() if error.name and value is error.obj]
        need = f"have .{error.name}"
    elif len(frames) == 1 and "params" in given and UNPACKED.search(str(error)):
        names, need = ["params"], "hold its arrays"
    else:
        there, need = _refused(frames), "be of another kind"
        names = [name for name, value in given.items() if any(value is X for X in there)
                 and value is not signature.parameters[name].default]
    got = " and ".join(reprlib.repr(given[name]) for name in names)
    return names and (f"{' or '.join(names)} must {need}, as the docstring of {f.__name__} says; "
                      f"got {got}")


def _frames(error):
    """(frame, line, package) from f to where the error was raised."""
    return [(frame, number, frame.f_globals.get("__name__", "").split(".")[0])
            for frame, number in traceback.walk_tb(error.__traceback__)][1:]  # without `quiet`


def _refused(frames):
    """What the refused line of ours names but arrays of floats; nothing if it raises an error."""
    for frame, number, package in reversed(frames):
        if package == "npattn":
            line = linecache.getline(frame.f_code.co_filename, number).split("#")[0].strip()
            words = [] if line.startswith("raise ") else re.findall(r"\w+", line)
            there = [frame.f_locals[word] for word in words if word in frame.f_locals]
            return [X for X in there if not (isinstance(X, np.ndarray) and X.dtype.kind in "fc")]
    return []


def foreign_cache(f_backward, kind, cache):
    """The TypeError for a cache that the forward of this backward has not returned."""
    name, kinds = f_backward.__name__, get_args(kind) or (kind,)
    return TypeError(f"{name} takes the cache, {' or '.join(k.__name__ for k in kinds)}, that "
                     f"{name.removesuffix('_backward')} returned, got {type(cache).__name__}")
