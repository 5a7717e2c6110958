"""Rotary positions: queries and keys are turned by an angle that grows with their position.

    (Y[t, 2i], Y[t, 2i + 1]) = rotation by t · 10000^(−2i/D) of (X[t, 2i], X[t, 2i + 1])

Turned by their positions i and j, q and k have the dot product of q and k turned by j − i alone:
absolute positions go in, relative ones come out. The clock hands are those of
`sinusoidal_positions`, multiplied in instead of added. Queries and keys are rotated after the
projection and the split into heads, values are not.
A rotation is linear, and its backward is the rotation back.
Codes that pair column i with column i + D/2 compute the same with the columns of W permuted.
Source: Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", eq. 34.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.positions import sinusoidal_positions


class RotaryCache(NamedTuple):
    """What rotary_backward reads."""

    cos: np.ndarray  # (T, D/2)
    sin: np.ndarray  # (T, D/2)


def rotary(X, *, offset=0):
    """Every pair of columns turned by its own angle at every position.

    X       (..., T, D)  queries or keys, D even
    offset  the first position: for queries behind a key/value cache, its length

    Returns Y (..., T, D) and the cache. Lengths of rows stay as they are.
    Raises ValueError for an odd D or a negative offset, TypeError for other than float arrays.
    """
    require_floats(X=X)
    if X.ndim < 2 or X.shape[-1] % 2 or X.shape[-1] == 0:
        raise ValueError(f"X must be (..., T, D) with D even, got shape {X.shape}")
    hands = sinusoidal_positions(*X.shape[-2:], offset=offset, dtype=X.real.dtype)
    sin, cos = hands[:, 0::2], hands[:, 1::2]
    return _rotate(X, cos, sin), RotaryCache(cos, sin)


def rotary_backward(dY, cache):
    """dX from dY: turned back, since the transpose of a rotation is its inverse."""
    return _rotate(dY, cache.cos, -cache.sin)


def _rotate(X, cos, sin):
    Y = np.empty_like(X)
    Y[..., 0::2] = X[..., 0::2] * cos - X[..., 1::2] * sin
    Y[..., 1::2] = X[..., 0::2] * sin + X[..., 1::2] * cos
    return Y
