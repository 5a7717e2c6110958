"""Rotary positions: queries and keys are turned by an angle that grows with their position.

    (Y[t, a], Y[t, b]) = rotation by t · s_i of (X[t, a], X[t, b])      for pair i of W/2

    interleaved   a = 2i, b = 2i + 1     or   halves   a = i, b = i + W/2: page `rotary_pairings`

Turned by their positions i and j, q and k have the dot product of q and k turned by j − i alone:
absolute positions go in, relative ones come out. Queries and keys are rotated after the projection
and the split into heads, values are not. The speeds s_i are the page `rotary_speeds`; of a width
W < D they turn the first W columns, and the others pass as they are.
A rotation is linear, and its backward is the rotation back.
Source: Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", eq. 34.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.floats import quiet
from npattn.kernels.options import require_choice
from npattn.kernels.rotary_pairings import PAIRINGS, pair_columns
from npattn.kernels.rotary_table import RotaryTable, rows_of_table
from npattn.kernels.shapes import Shape, require_shapes


class RotaryCache(NamedTuple):
    """What rotary_backward reads."""

    table: RotaryTable  # the rows used, (..., T, W/2)
    pairing: str
    shape: tuple        # of X


@quiet
def rotary(
    X, *, offset=0, positions=None, speeds=None, table=None, pairing="interleaved"
) -> tuple[np.ndarray, RotaryCache]:
    """Every pair of columns turned by its own angle at every position.

    X          (..., T, D)  queries or keys
    offset     the first position: for queries behind a key/value cache, its length
    positions  (..., T) integers ≥ 0 that broadcast to X's rows; instead of offset
    speeds     (W/2,) radians per position; None means rotary_speeds(D)
    table      RotaryTable, or (cos, sin), of positions 0, 1, …, instead of speeds: a model makes it
               once for all layers. (N, W/2); or (..., N, W/2), where each sequence has its own
    pairing    "interleaved" or "halves"

    Returns Y (..., T, D) and the cache. Lengths of rows stay as they are.
    Raises ValueError for an odd D without speeds, W > D, positions that are negative or beyond the
    table, an unknown pairing; TypeError for other than float arrays.

    >>> Y, cache = rotary(np.array([[1.0, 0.0], [1.0, 0.0]]), offset=1)
    >>> Y.round(4).tolist()  # turned by 1 and by 2 radians
    [[0.5403, 0.8415], [-0.4161, 0.9093]]
    """
    require_floats(X=X)
    require_choice("pairing", pairing, PAIRINGS)
    if X.ndim < 2 or X.shape[-1] == 0 or (X.shape[-1] % 2 and speeds is None and table is None):
        raise ValueError(f"X must be (..., T, D) with D even, got shape {X.shape}")
    rows = rows_of_table(X, offset, positions, speeds, table)
    if 2 * rows.cos.shape[-1] > X.shape[-1]:
        raise ValueError(f"{2 * rows.cos.shape[-1]} columns would turn, X {X.shape} has fewer: "
                         "make the speeds with rotary_speeds(width), width ≤ D")
    return turn_pairs(X, rows, pairing), RotaryCache(rows, pairing, X.shape)


@quiet
def rotary_backward(dY, cache: RotaryCache) -> np.ndarray:
    """dX from dY: turned back, since the transpose of a rotation is its inverse."""
    require_shapes("dY =... T D, X ... T D", dY, Shape(cache.shape))
    cos, sin = cache.table
    return turn_pairs(dY, RotaryTable(cos, -sin), cache.pairing)


def turn_pairs(X, table, pairing):
    """X (..., T, D), each row turned by that row of a RotaryTable (..., T, W/2)."""
    cos, sin = table
    width = 2 * cos.shape[-1]
    if pairing == "interleaved" and width == X.shape[-1] and _is_plain(X):
        # a pair is a complex number in memory, and (a + ib) (cos θ + i sin θ) is one product
        return (X.view(f"c{2 * X.itemsize}") * (cos + 1j * sin)).view(X.dtype)
    a, b = pair_columns(width, pairing)
    Y = X.copy() if width < X.shape[-1] else np.empty_like(X)
    Y[..., a] = X[..., a] * cos - X[..., b] * sin
    Y[..., b] = X[..., a] * sin + X[..., b] * cos
    return Y


def _is_plain(X):
    """Whether X is real, of this machine's byte order, and each row of it lies in one piece."""
    return X.dtype.kind == "f" and X.dtype.isnative and X.strides[-1] == X.itemsize
