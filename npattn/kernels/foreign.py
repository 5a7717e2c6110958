"""What an error says where an argument is of another kind than the function takes.

No function asks for the kinds of its arguments before it works, which would cost time and refuse
what would do. When it then meets one without what it needs, the error names the argument.
"""

import inspect
import re
import reprlib
from typing import get_args

UNPACKED = re.compile("unpack|must be an iterable|is not iterable|not subscriptable")


def foreign_argument(f, args, options, error):
    """What to say of the AttributeError, TypeError or ValueError of f(*args, **options); None if
    it is not about the kind of an argument."""
    try:
        given = inspect.signature(f).bind_partial(*args, **options).arguments
    except TypeError:  # too many of them, which Python says itself
        return None
    if isinstance(error, AttributeError):
        names = [name for name, value in given.items() if error.name and value is error.obj]
        need = f"have .{error.name}"
    else:
        frame = error.__traceback__.tb_next  # None where the call itself was refused
        within_f = frame is not None and frame.tb_next is None
        names = ["params"] if within_f and UNPACKED.search(str(error)) else []
        need = "hold its arrays"
    return next((f"{name} must {need}, as the docstring of {f.__name__} says; got "
                 f"{reprlib.repr(given[name])}" for name in names if name in given), None)


def foreign_cache(f_backward, kind, cache):
    """The TypeError for a cache that the forward of this backward has not returned."""
    name, kinds = f_backward.__name__, get_args(kind) or (kind,)
    return TypeError(f"{name} takes the cache, {' or '.join(k.__name__ for k in kinds)}, that "
                     f"{name.removesuffix('_backward')} returned, got {type(cache).__name__}")
