"""Shapes, written as the docstrings write them, and checked.

    require_shapes("Q ... Tq Dk, K ... Tk Dk, V ... Tk Dv", Q, K, V)

An axis has one length wherever its name stands. `...` stands for any leading axes, also none;
they broadcast as NumPy's do, so an axis of length 1 is shared. `=...` stands for just the
leading axes that the others broadcast to, as a gradient has those of its output. An array whose
name ends in `?` may be None, and one whose name ends in `:int` holds integers; all others are
float arrays of one precision. `Shape(X.shape)` takes the place of an X that is not kept. A
specification together with shapes that fit is remembered, so that the next check of the same is
one look-up.
"""

from functools import lru_cache
from operator import attrgetter

import numpy as np

from npattn.kernels.arrays import PLAIN, Shape, require_bool
from npattn.kernels.shape_spec import misfit, parts_of, raise_misfit, require_kinds

NUMBERS = np.float32, np.float64, np.complex64, np.complex128  # what NumPy makes of no axes
KINDS = frozenset((*PLAIN, *NUMBERS, Shape))

_kind = attrgetter("__class__", "dtype.char", "shape")


def require_shapes(spec, *arrays):
    """Every array must have the axes that `spec` gives it, and a kind of numbers that fits.

    spec    "Q ... Tq Dk, K ... Tk Dk": for each array its name, then its axes
    arrays  in the order of spec

    Raises ValueError that names the axis, shows all shapes and says what to do; TypeError for
    anything but float32 or float64 arrays of one precision (complex ones pass, for the complex
    step), or integers where spec says `:int`.
    """
    try:
        fits = _fit(spec, *map(_kind, arrays))
    except AttributeError:  # None, or no array
        fits = _fit(spec, *(_kind(X) if type(X) in KINDS else None for X in arrays))
    if not fits:
        require_kinds(spec, [np.asarray(X) if type(X) in NUMBERS else X for X in arrays])
        raise_misfit(spec, [getattr(X, "shape", X) for X in arrays])


def require_mask(mask, shape, what="the scores"):
    """The boolean `mask`, broadcast to `shape`.

    Raises TypeError if mask is no boolean array, ValueError if it does not broadcast.
    """
    if type(mask) not in PLAIN or mask.dtype != bool:
        require_bool(mask)
    try:
        return np.broadcast_to(mask, shape)
    except ValueError:
        raise ValueError(f"mask {mask.shape} does not broadcast to {what} {tuple(shape)}; "
                         "insert axes of length 1 where it should repeat") from None


@lru_cache(4096)
def _fit(spec, *kinds):
    """Whether arrays (type, dtype, shape) are as `spec` says."""
    floats, shapes = set(), []
    for (name, _), kind in zip(parts_of(spec), kinds, strict=True):
        kind, dtype, shape = kind or (None, "", None)
        shapes.append(shape)
        if kind is Shape or kind is None and name.endswith("?"):
            continue
        integers = name.endswith(":int")
        chars = tuple("bBhHiIlLqQ" if integers else "fFdD")
        if kind not in KINDS or dtype not in chars:
            return False
        if not integers:
            floats.add(dtype.lower())
    return len(floats) < 2 and not misfit(spec, shapes)
