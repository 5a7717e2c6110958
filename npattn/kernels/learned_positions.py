"""Learned absolute positions: a row of a table is added at every position.

    Y[..., t, :] = X[..., t, :] + E[offset + t]          X (..., T, D), E (longest, D)

The rows are the embeddings of the numbers 0, 1, 2, … Each serves all sequences of a batch, so its
gradient is their sum; positions that do not occur have gradient 0 and learn nothing, which is why
such a table does not carry beyond the lengths it was trained on.
Source: Gehring et al. 2017, section 3.1; Devlin et al. 2019, section 3; d2l 11.6.5, 11.8.4.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.broadcasting import sum_to_shape


class LearnedPositionsCache(NamedTuple):
    """What learned_positions_backward reads."""

    E: np.ndarray  # (longest, D)
    offset: int


def learned_positions(X, E, *, offset=0):
    """X plus a learned vector for each position.

    X       (..., T, D)
    E       (longest, D)  the table
    offset  the first position: when decoding step by step, the number of tokens already read

    Returns Y (..., T, D) and the cache.
    Raises ValueError if widths disagree or a position lies beyond the table.
    """
    require_floats(X=X, E=E)
    if E.ndim != 2 or X.ndim < 2 or X.shape[-1] != E.shape[1]:
        raise ValueError(f"X {X.shape} does not fit E {E.shape}: (..., T, D) and (longest, D)")
    T = X.shape[-2]
    if not 0 <= offset <= len(E) - T:
        raise ValueError(f"positions {offset} … {offset + T - 1} are not in E {E.shape}")
    return X + E[offset : offset + T], LearnedPositionsCache(E, offset)


def learned_positions_backward(dY, cache):
    """dX and dE from dY: the sum hands dY to X as it is, and to a row of E from every sequence."""
    E, offset = cache
    T, D = dY.shape[-2:]
    dE = np.zeros(E.shape, dY.dtype)
    dE[offset : offset + T] = sum_to_shape(dY, (T, D))
    return dY, dE
