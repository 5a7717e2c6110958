"""Rotary positions: queries and keys are turned by an angle that grows with their position.

    (Y[t, a], Y[t, b]) = rotation by t · s_i of (X[t, a], X[t, b])      for pair i of W/2

    interleaved   a = 2i, b = 2i + 1     RoFormer, GPT-J, GGUF files of Llama
    halves        a = i,  b = i + W/2    GPT-NeoX, Hugging Face, Qwen, Gemma

Turned by their positions i and j, q and k have the dot product of q and k turned by j − i alone:
absolute positions go in, relative ones come out. Both pairings compute the same scores with the
columns of the weights in another order, `pairing_order`. Queries and keys are rotated after the
projection and the split into heads, values are not. The speeds s_i are the page `rotary_speeds`;
of a width W < D they turn the first W columns, and the others pass as they are.
A rotation is linear, and its backward is the rotation back.
Source: Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", eq. 34.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.options import require_choice, require_counts
from npattn.kernels.rotary_table import RotaryTable, rows_of_table

PAIRINGS = ("interleaved", "halves")


class RotaryCache(NamedTuple):
    """What rotary_backward reads."""

    table: RotaryTable  # the rows used, (..., T, W/2)
    pairing: str


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
    return _rotate(X, rows, pairing), RotaryCache(rows, pairing)


def rotary_backward(dY, cache) -> np.ndarray:
    """dX from dY: turned back, since the transpose of a rotation is its inverse."""
    cos, sin = cache.table
    return _rotate(dY, RotaryTable(cos, -sin), cache.pairing)


def pairing_order(width, to, *, D=None, num_heads=1) -> np.ndarray:
    """The columns in the order of the other pairing: W[:, order] of a query or key projection.

    width      W, how many columns of each head turn; D is the head's width, None means W
    to         "halves" for weights that were made for interleaved pairs, "interleaved" for others
    num_heads  heads side by side, each reordered within itself

    Returns order (num_heads · D,): `rotary` of X[..., order] under the pairing `to` is `rotary`
    of X under the other, in this order. Raises ValueError for an odd width or width > D.

    >>> pairing_order(6, "halves").tolist(), pairing_order(6, "interleaved").tolist()
    ([0, 2, 4, 1, 3, 5], [0, 3, 1, 4, 2, 5])
    """
    require_choice("to", to, PAIRINGS)
    D = width if D is None else D
    require_counts(1, width=width, D=D, num_heads=num_heads)
    if width % 2 or width > D:
        raise ValueError(f"width must be even and at most D, got width={width}, D={D}")
    pairs = np.arange(width).reshape((-1, 2) if to == "halves" else (2, -1))
    head = np.concatenate([pairs.T.ravel(), np.arange(width, D)])
    return (np.arange(num_heads)[:, None] * D + head).ravel()


def _rotate(X, table, pairing):
    cos, sin = table
    half = cos.shape[-1]
    a, b = (slice(0, 2 * half, 2), slice(1, 2 * half, 2)) if pairing == "interleaved" else (
        slice(0, half), slice(half, 2 * half)
    )
    Y = X.copy() if 2 * half < X.shape[-1] else np.empty_like(X)
    Y[..., a] = X[..., a] * cos - X[..., b] * sin
    Y[..., b] = X[..., a] * sin + X[..., b] * cos
    return Y
