"""Sums: fast ones, those in which a weight of 0 silences, and those that undo broadcasting.

    row_sums       Σ_d X_nd = (X 1)_n         (..., 1)
    column_sums    Σ_n X_nd = (1ᵀ X)_d        (D,)
    weighted_sum   Y = A X                    (..., n, D), where a weight of 0 silences NaN and inf
    unbroadcast    dX_i = Σ dY_j              over all entries j of Y that X_i was copied to

BLAS adds up several times faster than a reduction along an axis does, so the first two are
products with ones: a training step is full of such sums.
In floating point 0 · NaN is NaN and 0 · inf is NaN: one broken number in a padded position would
reach every output, although its weight is 0. Pages compute `A @ X` as their formulas say. Where
the result is not finite, they take `weighted_sum(A, X)` instead.
The backward of a sum needs no function: each term gets the gradient of the sum.
"""

import math

import numpy as np


def row_sums(X):
    """The sum of each row, X (..., D) to (..., 1)."""
    return X @ np.ones((X.shape[-1], 1), X.dtype)


def row_means(X):
    """The mean of each row, X (..., D) to (..., 1)."""
    return row_sums(X) / X.shape[-1]


def column_sums(X):
    """The sum of each column over all leading axes, X (..., D) to (D,)."""
    rows = as_rows(X)
    return np.ones(len(rows), X.dtype) @ rows


def as_rows(X):
    """X (..., D) as (N, D), the leading axes folded into one; where D = 0, -1 would not know N."""
    return X.reshape(math.prod(X.shape[:-1]), X.shape[-1])


def all_finite(*arrays):
    """Whether no array holds NaN or inf. The sum of squares tells, unless it overflows."""
    for X in arrays:
        if not (abs(np.vdot(x := X.ravel("K"), x)) < math.inf or np.isfinite(x).all()):
            return False
    return True


def weighted_sum(A, X):
    """A X, in which NaN and inf in X do not count where their weight is exactly 0.

    A  (..., n, m)  weights
    X  (..., m, D)  what is weighed; leading axes broadcast

    Returns Y (..., n, D). An output that gives weight to a broken number is broken, too.
    """
    with np.errstate(all="ignore"):
        Y = A @ X
        if all_finite(Y):
            return Y
        broken = ~np.isfinite(X)
        touched = (A != 0.0) @ broken
        return np.where(touched, Y, A @ np.where(broken, 0.0, X))


def zeros_win(factor, X):
    """factor ⊙ X, where a factor of exactly 0 gives 0 even if X is NaN or inf."""
    return np.where(factor == 0.0, 0.0, factor * X)


def unbroadcast(dY, X):
    """dX, shaped like X (an array or a shape), from dY, shaped as X was broadcast.

    Along each axis that was added or stretched dX is the sum of dY: the adjoint of broadcasting.
    Raises ValueError if X does not broadcast to the shape of dY.
    """
    if dY.shape == getattr(X, "shape", X):
        return dY
    shape = getattr(X, "shape", X)
    added = dY.ndim - len(shape)
    if added < 0 or any(a not in (1, b) for a, b in zip(shape, dY.shape[added:], strict=True)):
        raise ValueError(f"X {shape} does not broadcast to dY {dY.shape}")
    dX = dY.sum(axis=tuple(range(added)))
    stretched = tuple(i for i, a in enumerate(shape) if a != dX.shape[i])
    return dX.sum(axis=stretched, keepdims=True)
