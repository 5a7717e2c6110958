"""The table of a rotation's cosines and sines, and which of its rows a sequence needs.

    cos[t, i] = cos(t s_i)      sin[t, i] = sin(t s_i)      (N, W/2) for positions t = 0 … N − 1

A model makes the table once and hands it to `rotary` in every layer. The angles are computed in
float64 whatever the precision of the table: at position 10⁵ float32 is off by 0.004 radians.
Source: Su et al. 2021, "RoFormer", eq. 34; the speeds s_i are the page `rotary_speeds`.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import as_array, require_floats, require_integers
from npattn.kernels.options import require_counts, require_float_dtype
from npattn.kernels.rotary_speeds import rotary_speeds


class RotaryTable(NamedTuple):
    """The turn of each pair at each position. Not learned."""

    cos: np.ndarray  # (..., N, W/2)
    sin: np.ndarray  # (..., N, W/2)


def rotary_table(positions, speeds, *, dtype=np.float64) -> RotaryTable:
    """The turn of each pair of columns at each position.

    positions  (..., N)  numbers; np.arange(N) for the table of a model
    speeds     (W/2,)    radians per position, from `rotary_speeds`

    Returns a RotaryTable, (..., N, W/2) each.

    >>> rotary_table(np.arange(2), rotary_speeds(2)).cos.round(4).tolist()
    [[1.0], [0.5403]]
    """
    require_float_dtype(dtype)
    positions, speeds = as_array("positions", positions), as_array("speeds", speeds)
    for name, X in (("positions", positions), ("speeds", speeds)):
        if X.dtype.kind not in "iuf":
            raise TypeError(f"{name} must be numbers, got {X.dtype}")
    with np.errstate(all="ignore"):
        angles = positions[..., None] * speeds.astype(np.float64)
    if not np.isfinite(angles).all():
        raise ValueError("positions and speeds must be finite numbers")
    return RotaryTable(np.cos(angles).astype(dtype), np.sin(angles).astype(dtype))


def rows_of_table(X, offset, positions, speeds, table):
    """The RotaryTable (..., T, W/2) that turns X (..., T, D), in its precision; see `rotary`."""
    require_counts(0, offset=offset)
    offset = int(offset)
    if positions is not None:
        _require_positions(X, offset, positions)
    if table is None:
        rows = np.arange(X.shape[-2]) + offset if positions is None else positions
        speeds = rotary_speeds(X.shape[-1]) if speeds is None else speeds
        return rotary_table(rows, speeds, dtype=X.real.dtype)
    if speeds is not None:
        raise ValueError("give speeds or table, not both")
    return _pick(X, offset, positions, *table)


def _pick(X, offset, positions, cos, sin):
    require_floats(X=X, cos=cos, sin=sin)
    if cos.ndim < 2 or cos.shape != sin.shape:
        raise ValueError(f"cos {cos.shape} and sin {sin.shape} of the table must be (..., N, W/2)")
    N, last = cos.shape[-2], offset + X.shape[-2] - 1
    rows = slice(offset, last + 1)
    if positions is not None:
        rows, last = positions, positions.max(initial=0)
        if cos.ndim > 2 and positions.ndim > 1:
            raise ValueError(f"positions {positions.shape} pick rows of one table (N, W/2), "
                             f"not of one for each sequence {cos.shape}")
    if last >= N:
        raise ValueError(f"position {last} is beyond the table, which has 0 … {N - 1}; "
                         "make a longer one with rotary_table")
    return RotaryTable(cos[..., rows, :], sin[..., rows, :])


def _require_positions(X, offset, positions):
    require_integers(positions=positions)
    if offset:
        raise ValueError("give offset or positions, not both")
    if positions.size and positions.min() < 0:
        raise ValueError(f"positions must be 0 or more, got {positions.min()}")
    try:
        np.broadcast_to(positions, X.shape[:-1])
    except ValueError:
        raise ValueError(f"positions {positions.shape} must be (..., T) and broadcast to the rows "
                         f"of X {X.shape}; insert axes of length 1 for heads") from None
