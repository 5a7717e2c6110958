"""Sums along an axis, as matrix products with ones.

    row_sums      Σ_d X_nd = (X 1)_n         (..., 1)
    column_sums   Σ_n X_nd = (1ᵀ X)_d        (D,)

BLAS adds up several times faster than a reduction along an axis does, and a training step is
full of such sums: every bias, every layer norm and every softmax has its own. The backward of a
sum needs no function: each term gets the gradient of the sum.
"""

import numpy as np

from npattn.kernels.arrays import as_rows


def row_sums(X):
    """The sum of each row, X (..., D) to (..., 1)."""
    return X @ np.ones((X.shape[-1], 1), X.dtype)


def column_sums(X):
    """The sum of each column over all leading axes, X (..., D) to (D,)."""
    rows = as_rows(X)
    return np.ones(len(rows), X.dtype) @ rows
