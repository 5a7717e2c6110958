"""Inverted dropout and its backward.

    Y = X ⊙ keep,   keep = 0 with probability `rate`, else 1 / (1 − rate)

The survivors are scaled up, so that the expectation of Y is X and evaluation needs no
change. Without a generator nothing is dropped: `rng=None` is the evaluation mode.
Source: Srivastava et al. 2014, "Dropout", section 4; d2l 5.6.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.options import require_generator, require_rate


class DropoutCache(NamedTuple):
    """What dropout_backward reads."""

    keep: np.ndarray | None  # (...) 0 or 1 / (1 − rate); None where nothing was dropped


def draw_keep(X, rate, rng):
    """The multiplier of dropout for X (...): 0 or 1 / (1 − rate), or None if nothing is dropped.

    rate  the probability of a zero, in [0, 1)
    rng   numpy.random.Generator, or None for no dropout

    Raises ValueError for a rate outside [0, 1), TypeError for an rng of another kind.
    """
    require_rate(rate)
    if rng is None or rate == 0.0:
        return None
    require_generator(rng)
    survive = rng.random(X.shape, dtype=np.float32) >= rate
    return survive * X.real.dtype.type(1.0 / (1.0 - rate))


def dropout(X, rate, rng=None) -> tuple[np.ndarray, DropoutCache]:
    """X (...) with a random share `rate` of its entries set to 0 and the others scaled up.

    rate, rng and errors as in `draw_keep`. Returns Y and the cache; with rng=None, Y is X itself.

    >>> Y, cache = dropout(np.ones(6), 0.5, np.random.default_rng(1))
    >>> sorted(set(Y.tolist()))
    [0.0, 2.0]
    """
    require_floats(X=X)
    keep = draw_keep(X, rate, rng)
    return (X if keep is None else X * keep), DropoutCache(keep)


def dropout_backward(dY, cache) -> np.ndarray:
    """dX from dY: ∂Y/∂X is the diagonal matrix `keep`, so dX = dY ⊙ keep."""
    return dY if cache.keep is None else dY * cache.keep
