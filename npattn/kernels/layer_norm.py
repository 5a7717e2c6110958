"""Layer normalization and its backward.

    X̂ = (X − mean) / √(var + eps)      mean and var (the biased one, over D) of each row
    Y = X̂ ⊙ gain + bias                X (..., D), gain and bias (D,)

`...` stands for any leading axes; each position is normalized by itself.
Source: Ba, Kiros and Hinton 2016, "Layer Normalization", section 3; d2l 11.7.3.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.options import require_float_dtype
from npattn.kernels.sums import column_sums, row_sums


class LayerNormParams(NamedTuple):
    """What layer_norm learns. The gradient has the same type."""

    gain: np.ndarray         # (D,)
    bias: np.ndarray | None  # (D,), or None for no bias


class LayerNormCache(NamedTuple):
    """What layer_norm_backward reads."""

    Xhat: np.ndarray  # (..., D) the normalized rows
    rstd: np.ndarray  # (..., 1) 1 / √(var + eps)
    mean: np.ndarray  # (..., 1) of the rows of X
    params: LayerNormParams


def init_layer_norm(D, *, bias=True, dtype=np.float64):
    """Gain 1 and bias 0: at the start the layer only normalizes."""
    require_float_dtype(dtype)
    return LayerNormParams(np.ones(D, dtype), np.zeros(D, dtype) if bias else None)


def layer_norm(X, params, *, eps=1e-5):
    """Every row shifted to mean 0 and scaled to variance 1, then stretched by gain and bias.

    X       (..., D)
    params  LayerNormParams: gain (D,), bias (D,) or None
    eps     added to the variance, so that a constant row gives X̂ = 0

    Returns Y (..., D) and the cache.
    Raises ValueError if the widths disagree, TypeError for other than float arrays.
    """
    gain, bias = params
    b = gain if bias is None else bias
    require_floats(X=X, gain=gain, bias=b)
    if X.ndim < 1 or not X.shape[-1:] == gain.shape == b.shape:
        raise ValueError(f"X {X.shape} does not fit gain {gain.shape} and bias {b.shape}: "
                         "X must be (..., D), gain and bias (D,)")
    mean = _row_mean(X)
    Xhat = X - mean
    rstd = 1.0 / np.sqrt(_row_mean(Xhat * Xhat) + float(eps))
    Xhat *= rstd
    Y = Xhat * gain if bias is None else Xhat * gain + bias
    return Y, LayerNormCache(Xhat, rstd, mean, params)


def layer_norm_backward(dY, cache):
    """dX and dparams from dY (..., D).

    The mean and the variance depend on X too. Each takes one direction out of the gradient:
    dX = rstd ⊙ (dX̂ − mean(dX̂) − X̂ ⊙ mean(dX̂ ⊙ X̂)).
    """
    Xhat, rstd, _, (gain, bias) = cache
    # Y = X̂ ⊙ gain + bias
    pull = dY * Xhat
    dgain, dbias = column_sums(pull), None if bias is None else column_sums(dY)
    # X̂ = (X − mean) · rstd, and dX̂ = dY ⊙ gain, so that a row's mean is a product with gain
    D = len(gain)
    dX = dY * gain
    dX -= (dY @ gain / D)[..., None]
    dX -= Xhat * (pull @ gain / D)[..., None]
    dX *= rstd
    return dX, LayerNormParams(dgain, dbias)


def _row_mean(X):
    return row_sums(X) / X.shape[-1]
