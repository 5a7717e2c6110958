"""Absolute positions: a fixed wave, or a learned row, added at every position.

    sinusoidal   P[t, 2i]     = sin(t / 10000^(2i/D))      t = offset … offset + T − 1
                 P[t, 2i + 1] = cos(t / 10000^(2i/D))
    learned      Y[..., t, :] = X[..., t, :] + E[offset + t]     X (..., T, D), E (longest, D)

Sinusoidal: each pair of columns turns at its own speed, from 1 radian a step down to nearly
1/10000; k steps further every pair is rotated by a fixed angle. The table is constant, so adding
it to X needs no backward: d(X + P) = dX. Unpaired, column c has its own speed, 10000^(−c/D), and
nothing rotates; codes with exponents from arange(0, D, 2) and arange(1, D, 2) do that.
Learned: the rows are the embeddings of the numbers 0, 1, 2, … Each serves all sequences of a
batch, so its gradient is their sum; positions that do not occur have gradient 0 and learn nothing,
which is why such a table does not carry beyond the lengths it was trained on.
Source: Vaswani et al. 2017, 3.5; Gehring et al. 2017, 3.1; d2l 11.6.3, 11.6.5, 11.8.4.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.options import require_counts, require_flag, require_float_dtype
from npattn.kernels.shapes import Shape, require_shapes
from npattn.kernels.sums import unbroadcast


def sinusoidal_positions(T, D, *, offset=0, paired=True, dtype=np.float64) -> np.ndarray:
    """The encoding of T consecutive positions.

    T       how many positions, ≥ 0
    D       width, even or odd; an odd one ends in a sine without its cosine
    offset  the first position: when decoding step by step, the number of tokens already read
    paired  True: sine and cosine share a frequency; False: every column has its own

    Returns P (T, D), entries in [−1, 1].
    Raises ValueError for a negative T or offset or a D below 1, TypeError for no integers.

    >>> sinusoidal_positions(2, 2).round(4).tolist()
    [[0.0, 1.0], [0.8415, 0.5403]]
    """
    require_counts(0, T=T, offset=offset)
    require_counts(1, D=D)
    require_flag("paired", paired)
    require_float_dtype(dtype)
    t, column = int(offset) + np.arange(T)[:, None], np.arange(D)
    angle = t / 10000.0 ** ((column - column % 2 if paired else column) / D)
    P = np.empty((T, D), dtype)
    P[:, 0::2] = np.sin(angle[:, 0::2])
    P[:, 1::2] = np.cos(angle[:, 1::2])
    return P


class LearnedPositionsCache(NamedTuple):
    """What learned_positions_backward reads."""

    E: np.ndarray  # (longest, D)
    offset: int
    shape: tuple   # of X


def learned_positions(X, E, *, offset=0) -> tuple[np.ndarray, LearnedPositionsCache]:
    """X plus a learned vector for each position.

    X       (..., T, D)
    E       (longest, D)  the table
    offset  the first position: when decoding step by step, the number of tokens already read

    Returns Y (..., T, D) and the cache.
    Raises ValueError if widths disagree or a position lies beyond the table.

    >>> learned_positions(np.zeros((2, 1)), np.array([[1.0], [2.0], [3.0]]), offset=1)[0].tolist()
    [[2.0], [3.0]]
    """
    require_shapes("X ... T D, E longest D", X, E)
    require_counts(None, offset=offset)
    offset, T = int(offset), X.shape[-2]
    if not 0 <= offset <= len(E) - T:
        raise ValueError(f"positions {offset} … {offset + T - 1} are not in E {E.shape}")
    return X + E[offset : offset + T], LearnedPositionsCache(E, offset, X.shape)


@quiet
def learned_positions_backward(dY, cache: LearnedPositionsCache) -> tuple[np.ndarray, np.ndarray]:
    """dX and dE from dY: the sum hands dY to X as it is, and to a row of E from every sequence."""
    E, offset, shape = cache
    require_shapes("dY =... T D, X ... T D", dY, Shape(shape))
    rows = slice(offset, offset + shape[-2])
    dE = np.zeros(E.shape, dY.dtype)
    dE[rows] = unbroadcast(dY, E[rows])
    return dY, dE
