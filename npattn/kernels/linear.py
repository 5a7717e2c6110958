"""The linear layer and its backward.

    Y = X W + b       X (..., Din), W (Din, Dout), b (Dout,), Y (..., Dout)

`...` stands for any leading axes; they are folded into one, so that each product is one
2-D matrix product and not one per batch entry. W stands on the right, as in the papers;
torch.nn.Linear stores its transpose.
Source: d2l 3.1, 11.5; the gradients follow from dY_nj = Σ_i dX_ni W_ij + X_ni dW_ij + db_j.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import as_rows, require_floats
from npattn.kernels.initial import glorot_uniform
from npattn.kernels.products import product
from npattn.kernels.sums import column_sums
from npattn.kernels.weighted_sum import weighted_sum


class LinearParams(NamedTuple):
    """What linear learns. The gradient has the same type."""

    W: np.ndarray         # (Din, Dout)
    b: np.ndarray | None  # (Dout,), or None for no bias


class LinearCache(NamedTuple):
    """What linear_backward reads."""

    X: np.ndarray         # (..., Din)
    params: LinearParams


def init_linear(Din, Dout, rng, *, bias=True, dtype=np.float64):
    """Weights Glorot-uniform, bias 0."""
    W = glorot_uniform(Din, Dout, rng, dtype)
    return LinearParams(W, np.zeros(Dout, dtype) if bias else None)


def linear(X, params):
    """An affine map of the last axis, the same at every position.

    X       (..., Din)
    params  LinearParams: W (Din, Dout), b (Dout,) or None

    Returns Y (..., Dout) and the cache.
    Raises ValueError if the widths disagree, TypeError for other than float arrays.
    """
    W, b = params
    require_floats(X=X, W=W, b=b)
    if W.ndim != 2 or X.ndim < 1 or X.shape[-1] != W.shape[0]:
        raise ValueError(f"X {X.shape} does not fit W {W.shape}: need X (..., Din), W (Din, Dout)")
    if b is not None and b.shape != W.shape[1:]:
        raise ValueError(f"b {b.shape} does not fit W {W.shape}: b must be (Dout,)")
    rows = as_rows(X)
    Y = product(rows, W) if b is None else product(rows, W) + b
    return Y.reshape(*X.shape[:-1], W.shape[1]), LinearCache(X, params)


def linear_backward(dY, cache):
    """dX and dparams from dY (..., Dout). Positions share W and b, so theirs are sums."""
    X, (W, b) = cache
    dY2 = as_rows(dY)
    # Y = X W + b
    dX = product(dY2, W.T).reshape(X.shape)
    dW = weighted_sum(dY2.T, as_rows(X)).T
    db = None if b is None else column_sums(dY2)
    return dX, LinearParams(dW, db)
