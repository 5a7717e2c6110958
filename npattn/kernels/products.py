"""X W and dY Wᵀ as fast as BLAS can: the order in memory and the kind of numbers decide how.

    W of rows (in, out)         X W
    W turned, few rows in X     (Wᵀ Xᵀ)ᵀ       1.1 to 1.7 times as fast for 8 to 512 rows; Y is
                                turned as W is, and so is dX = (W dYᵀ)ᵀ: what is added to X, or
                                multiplied with it, then lies in memory as X does
    X complex, W real           one real product, of the real and the imaginary rows; NumPy alone
                                would make W complex: twice the work and the memory

Files of weights store (out, in), so that what is read from them is turned.
"""

import numpy as np

from npattn.kernels.sums import as_rows

TURN_ROWS = range(2, 513)


def product(X, W):
    """X W for X (N, Din) and W (Din, Dout). Turned like W where W is turned and N in TURN_ROWS."""
    if X.dtype.kind == "c" != W.dtype.kind:
        return _by_parts(product, X, W)
    return (W.T @ X.T).T if is_turned_for(W, X) else X @ W


def transposed_product(dY, W):
    """dX = dY Wᵀ for dY (N, Dout) of Y = X W, turned as Y is."""
    if dY.dtype.kind == "c" != W.dtype.kind:
        return _by_parts(transposed_product, dY, W)
    return (W @ dY.T).T if is_turned_for(W, dY) else dY @ W.T


def is_turned_for(W, X):
    """Whether W lies in memory by columns, and X (N, D) has as many rows as this is for."""
    return len(X) in TURN_ROWS and W.flags.f_contiguous and not W.flags.c_contiguous


def turned_like(X, W):
    """X (..., D) in the order in which `product` with W returns: a copy where it differs."""
    rows = as_rows(X)
    return np.asfortranarray(rows).reshape(X.shape) if is_turned_for(W, rows) else X


def _by_parts(times, X, W):
    """X W of a complex X and a real W by `times`, in one real product."""
    Y = times(np.concatenate([X.real, X.imag]), W)
    return Y[:len(X)] + 1j * Y[len(X):]
