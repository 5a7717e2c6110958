"""Inverted dropout and its backward.

    Y = X ⊙ keep,   keep = 0 with probability `rate`, else 1 / (1 − rate)

The survivors are scaled up, so that the mean of Y is X. `rng=None`, for evaluation, drops nothing.
Source: Srivastava et al. 2014, "Dropout", section 4; d2l 5.6.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.floats import quiet
from npattn.kernels.options import require_generator, require_rate
from npattn.kernels.shapes import Shape, require_shapes


class DropoutCache(NamedTuple):
    """What dropout_backward reads."""

    keep: np.ndarray | None  # (...) 0 or 1 / (1 − rate); None where nothing was dropped
    shape: tuple             # of X


def draw_keep(X, rate, rng):
    """The multiplier of dropout for X (...): 0 or 1 / (1 − rate), or None if nothing is dropped.

    rate  the probability of a zero, in [0, 1); ValueError for another
    rng   numpy.random.Generator, or None for no dropout; TypeError for another kind
    """
    require_rate(rate)
    if rng is None or rate == 0.0:
        return None
    require_generator(rng)
    return (rng.random(X.shape, dtype=np.float32) >= rate) * X.real.dtype.type(1.0 / (1.0 - rate))


def dropout(X, rate, rng=None) -> tuple[np.ndarray, DropoutCache]:
    """X (...) with a random share `rate` of its entries set to 0 and the others scaled up.

    rate, rng, errors as in `draw_keep`. Returns Y and the cache; with rng=None, Y is X itself.

    >>> sorted(set(dropout(np.ones(6), 0.5, np.random.default_rng(1))[0].tolist()))
    [0.0, 2.0]
    """
    require_floats(X=X)
    keep = draw_keep(X, rate, rng)
    return (X if keep is None else X * keep), DropoutCache(keep, X.shape)


@quiet
def dropout_backward(dY, cache: DropoutCache) -> np.ndarray:
    """dX from dY: ∂Y/∂X is the diagonal matrix `keep`, so dX = dY ⊙ keep."""
    require_shapes("dY =..., X ...", dY, Shape(cache.shape))
    return dY if cache.keep is None else dY * cache.keep
