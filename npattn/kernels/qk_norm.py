"""Queries and keys normalized before their product, so that no score can grow without bound.

    Q̂ = rms_norm(Q, query gain)       (..., Tq, D)
    K̂ = rms_norm(K, key gain)         (..., Tk, D)
    S = Q̂ K̂ᵀ · scale                  |S_ij| ≤ D · scale while the gains are 1

Large scores saturate softmax, which stops the gradients and breaks the training of large models.
The rows are those of one head, after the split (Qwen 3, Gemma 3) and before `rotary`; where the
norm goes over all heads at once (OLMo 2), it is called before the split, with gains of that width.
One gain serves all heads, so its gradient is the sum over them.
Source: Henry et al. 2020, "Query-Key Normalization", section 3; Dehghani et al. 2023, "Scaling
Vision Transformers to 22 Billion Parameters", section 2.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.rms_norm import (
    RMSNormCache, init_rms_norm, rms_norm, rms_norm_backward,
)
from npattn.kernels.shapes import require_shapes


class QKNormParams(NamedTuple):
    """What qk_norm learns. The gradient has the same type."""

    query: np.ndarray  # (D,) gain
    key: np.ndarray    # (D,) gain


class QKNormCache(NamedTuple):
    """What qk_norm_backward reads."""

    query: RMSNormCache
    key: RMSNormCache


def init_qk_norm(D, *, dtype=np.float64) -> QKNormParams:
    """Gains of 1."""
    return QKNormParams(init_rms_norm(D, dtype=dtype), init_rms_norm(D, dtype=dtype))


@quiet
def qk_norm(Q, K, params, *, eps=1e-6) -> tuple[tuple, QKNormCache]:
    """Queries and keys with a root mean square of 1, times their gains.

    Q       (..., Tq, D)
    K       (..., Tk, D)
    params  QKNormParams: query (D,), key (D,)
    eps     as in `rms_norm`

    Returns (Q̂, K̂), shaped like Q and K, and the cache.
    Raises ValueError if the widths disagree, TypeError for other than float arrays.

    >>> Q, K = np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]])
    >>> (Qhat, Khat), cache = qk_norm(Q, K, init_qk_norm(2), eps=0.0)
    >>> Qhat.round(3).tolist(), Khat.round(3).tolist()
    ([[0.849, 1.131]], [[0.0, 1.414]])
    """
    require_shapes("Q ... Tq D, params.query D", Q, params.query)
    require_shapes("K ... Tk D, params.key D", K, params.key)
    Qhat, query = rms_norm(Q, params.query, eps=eps)
    Khat, key = rms_norm(K, params.key, eps=eps)
    return (Qhat, Khat), QKNormCache(query, key)


@quiet
def qk_norm_backward(dQK, cache: QKNormCache) -> tuple:
    """dQ, dK and dparams from dQK = (dQ̂, dK̂)."""
    dQ, dquery = rms_norm_backward(dQK[0], cache.query)
    dK, dkey = rms_norm_backward(dQK[1], cache.key)
    return dQ, dK, QKNormParams(dquery, dkey)
