"""Shapes, written as the docstrings write them, and checked.

    require_shapes("Q ... Tq Dk, K ... Tk Dk, V ... Tk Dv", Q, K, V)

An axis has one length wherever its name stands. `...` stands for any leading axes, also none;
they broadcast as NumPy's do, so an axis of length 1 is shared. `=...` stands for just the
leading axes that the others broadcast to, as a gradient has those of its output. An array whose
name ends in `?` may be None, and one whose name ends in `:int` holds integers; all others are
float arrays of one precision. A specification together with shapes that fit is remembered, so
that the next check of the same is one look-up.
"""

from functools import lru_cache
from operator import attrgetter

import numpy as np

from npattn.kernels.arrays import PLAIN, require_bool
from npattn.kernels.shape_spec import misfit, parts_of, raise_misfit, require_kinds

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
        fits = _fit(spec, *(_kind(X) if type(X) in PLAIN else None for X in arrays))
    if not fits:
        require_kinds(spec, arrays)
        raise_misfit(spec, [X if X is None else X.shape for X in arrays])


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
    floats = set()
    for (name, _), kind in zip(parts_of(spec), kinds, strict=True):
        if kind is None and name.endswith("?"):
            continue
        kind, dtype, _ = kind or (None, "", None)
        integers = name.endswith(":int")
        if kind not in PLAIN or dtype not in tuple("bBhHiIlLqQ" if integers else "fFdD"):
            return False
        if not integers:
            floats.add(dtype.lower())
    return len(floats) < 2 and not misfit(spec, [kind and kind[2] for kind in kinds])
