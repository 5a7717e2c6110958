"""A matrix product in which a weight of exactly 0 silences what it weighs.

    Y = A X        A (..., n, m) weights, X (..., m, D), Y (..., n, D)

In floating point 0 · NaN is NaN and 0 · inf is NaN: one broken number in a padded position would
reach every output, although its weight is 0. Here it does not. Where all numbers are finite this
is A @ X and nothing else.
"""

import numpy as np

from npattn.kernels.arrays import all_finite


def weighted_sum(A, X):
    """A X, with rows of X left out where their weight is exactly 0, be they NaN or inf.

    A  (..., n, m)  weights
    X  (..., m, D)  what is weighed, with the same leading axes

    Returns Y (..., n, D). An output that does weigh a broken number is broken, too.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        Y = np.matmul(A, X, out=_room(A, X))
        if all_finite(Y):
            return Y
        loud = ~np.isfinite(X)
        heard = (A != 0.0) @ loud
        return np.where(heard, Y, A @ np.where(loud, 0.0, X))


def _room(A, X):
    """Room for A X that lies in memory like X: if X is one head's view of wide rows, so is Y."""
    dtype = np.result_type(A, X)
    return np.empty_like(X, dtype, shape=(*A.shape[:-1], X.shape[-1]))
