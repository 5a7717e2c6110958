"""Layer normalization and its backward.

    X̂ = (X − mean) / √(var + eps)      mean and var (the biased one, over D) of each row
    Y = X̂ ⊙ gain + bias                X (..., D), gain and bias (D,)

`...` stands for any leading axes; each position is normalized by itself.
Source: Ba, Kiros and Hinton 2016, "Layer Normalization", section 3; d2l 11.7.3.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.options import require_counts, require_eps, require_flag, require_float_dtype
from npattn.kernels.shapes import require_shapes
from npattn.kernels.sums import column_sums, row_means


class LayerNormParams(NamedTuple):
    """What layer_norm learns. The gradient has the same type."""

    gain: np.ndarray         # (D,)
    bias: np.ndarray | None  # (D,), or None for no bias


class LayerNormCache(NamedTuple):
    """What layer_norm_backward reads."""

    Xhat: np.ndarray  # (..., D) the normalized rows
    rstd: np.ndarray  # (..., 1) 1 / √(var + eps)
    mean: np.ndarray  # (..., 1) of X
    params: LayerNormParams


def init_layer_norm(D, *, bias=True, dtype=np.float64) -> LayerNormParams:
    """Gain 1 and bias 0: at the start the layer only normalizes."""
    require_counts(0, D=D)
    require_flag("bias", bias)
    require_float_dtype(dtype)
    return LayerNormParams(np.ones(D, dtype), np.zeros(D, dtype) if bias else None)


@quiet
def layer_norm(X, params, *, eps=1e-5) -> tuple[np.ndarray, LayerNormCache]:
    """Every row shifted to mean 0 and scaled to variance 1, then stretched by gain and bias.

    X       (..., D)
    params  LayerNormParams: gain (D,), bias (D,) or None
    eps     added to the variance, so that a constant row gives X̂ = 0; at least 0

    Returns Y (..., D) and the cache. Raises ValueError if the widths disagree or eps is negative.

    >>> Y, cache = layer_norm(np.array([[1.0, 3.0]]), init_layer_norm(2), eps=0.0)
    >>> Y.tolist(), cache.mean.tolist()
    ([[-1.0, 1.0]], [[2.0]])
    """
    gain, bias = params
    require_shapes("X ... D, gain D, bias? D", X, gain, bias)
    require_eps(eps=eps)
    mean = row_means(X)
    Xhat = X - mean
    rstd = 1.0 / np.sqrt(row_means(Xhat * Xhat) + float(eps))
    Xhat *= rstd
    Y = Xhat * gain if bias is None else Xhat * gain + bias
    return Y, LayerNormCache(Xhat, rstd, mean, params)


@quiet
def layer_norm_backward(dY, cache: LayerNormCache) -> tuple[np.ndarray, LayerNormParams]:
    """dX = rstd ⊙ (dX̂ − mean(dX̂) − X̂ ⊙ mean(dX̂ ⊙ X̂)), and dparams, from dY (..., D)."""
    Xhat, rstd, _, (gain, bias) = cache
    require_shapes("dY =... D, X ... D", dY, Xhat)
    # Y = X̂ ⊙ gain + bias
    pull = dY * Xhat
    dgain, dbias = column_sums(pull), None if bias is None else column_sums(dY)
    dXhat = dY * gain
    # X̂ = (X − mean) · rstd, where mean and rstd depend on X, too; Σ dX̂ of a row is dY gain
    mean_dXhat, mean_pull = ((G @ gain / len(gain))[..., None] for G in (dY, pull))
    dX = rstd * (dXhat - mean_dXhat - Xhat * mean_pull)
    return dX, LayerNormParams(dgain, dbias)
