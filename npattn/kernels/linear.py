"""The linear layer and its backward.

    Y = X W + b       X (..., Din), W (Din, Dout), b (Dout,), Y (..., Dout)

`...` stands for any leading axes; they are folded into one, so that each product is one 2-D matrix
product. W stands on the right, as in the papers; torch.nn.Linear stores its transpose.
Source: d2l 3.1, 11.5; the gradients follow from dY_nj = Σ_i dX_ni W_ij + X_ni dW_ij + db_j.
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.options import require_counts, require_flag, require_generator
from npattn.kernels.products import product, transposed_product
from npattn.kernels.shapes import require_shapes
from npattn.kernels.sums import all_finite, as_rows, column_sums, weighted_sum


class LinearParams(NamedTuple):
    """What linear learns. The gradient has the same type."""

    W: np.ndarray         # (Din, Dout)
    b: np.ndarray | None  # (Dout,), or None for no bias


class LinearCache(NamedTuple):
    """What linear_backward reads."""

    X: np.ndarray         # (..., Din)
    params: LinearParams


def glorot_uniform(Din, Dout, rng, dtype=np.float64) -> np.ndarray:
    """W (Din, Dout), uniform in ±√(6 / (Din + Dout)): a variance between 1/Din and 1/Dout.

    1/Din keeps the size of what goes forward, 1/Dout that of gradients (Glorot and Bengio 2010).
    """
    require_counts(0, Din=Din, Dout=Dout)
    require_generator(rng, dtype)
    bound = math.sqrt(6.0 / max(Din + Dout, 1))
    return rng.uniform(-bound, bound, (Din, Dout)).astype(dtype)


def init_linear(Din, Dout, rng, *, bias=True, dtype=np.float64) -> LinearParams:
    """Weights Glorot-uniform, bias 0."""
    require_flag("bias", bias)
    W = glorot_uniform(Din, Dout, rng, dtype)
    return LinearParams(W, np.zeros(Dout, dtype) if bias else None)


@quiet
def linear(X, params) -> tuple[np.ndarray, LinearCache]:
    """An affine map of the last axis, the same at every position.

    X       (..., Din)
    params  LinearParams: W (Din, Dout), b (Dout,) or None

    Returns Y (..., Dout) and the cache. Raises ValueError if the widths disagree.

    >>> Y, cache = linear(np.array([[1.0, 2.0]]), LinearParams(np.eye(2), np.ones(2)))
    >>> Y.tolist()
    [[2.0, 3.0]]
    """
    W, b = params
    require_shapes("X ... Din, W Din Dout, b? Dout", X, W, b)
    Y = product(as_rows(X), W)
    Y = Y if b is None else np.add(Y, b, out=Y if Y.dtype == b.dtype else None)
    return Y.reshape(*X.shape[:-1], W.shape[1]), LinearCache(X, params)


@quiet
def linear_backward(dY, cache: LinearCache) -> tuple[np.ndarray, LinearParams]:
    """dX and dparams from dY (..., Dout). Positions share W and b, so theirs are sums."""
    W, b = cache.params
    require_shapes("dY =... Dout, X ... Din, W Din Dout", dY, cache.X, W)
    X, dY = as_rows(cache.X), as_rows(dY)
    # Y = X W + b
    dX = transposed_product(dY, W)
    dW = (dY.T @ X).T  # = Xᵀ dY; dYᵀ stands at the left, since below its zeros silence NaN
    db = None if b is None else column_sums(dY)
    if not all_finite(dW):  # a position without a gradient may hold NaN, and 0 · NaN is NaN
        dW = weighted_sum(dY.T, X).T
    return dX.reshape(cache.X.shape), LinearParams(dW, db)
