"""Differential attention: what two attentions agree on is taken away, and the difference is left.

    O = O₁ − λ O₂         O_n = attention(Q_n, K_n, V)      (..., Tq, Dv), one V for both
    dO₁ = dO              dO₂ = −λ dO
    dλ = −Σ dO ⊙ O₂       dV = the sum of what either attention says

Softmax never gives a key weight 0, and over long texts these small weights add up to noise; both
maps have it, and it cancels, as in a differential amplifier. λ is learned, one for each head:

    λ = exp(q₁ · k₁) − exp(q₂ · k₂) + λ_init              `differential_lambda`
    dq₁ = dλ exp(q₁ · k₁) k₁, and so on                   λ_init = 0.8 − 0.6 e^(−0.3 l) in layer l

The paper normalizes each head's output by `rms_norm` and multiplies it by 1 − λ_init.
Source: Ye et al. 2024, "Differential Transformer", section 2.1, eq. 1 to 3.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.attention import AttentionCache, attention, attention_backward
from npattn.kernels.floats import quiet
from npattn.kernels.options import require_real
from npattn.kernels.sums import unbroadcast
from npattn.kernels.shapes import require_shapes


class DifferentialCache(NamedTuple):
    """What differential_attention_backward reads."""

    first: AttentionCache
    second: AttentionCache
    O2: np.ndarray   # (..., Tq, Dv)
    lam: np.ndarray  # as given

    @property
    def P(self):
        """P₁ − λ P₂, (..., Tq, Tk); rows sum to 1 − λ, and entries may be negative."""
        return self.first.P - self.lam[..., None, None] * self.second.P


def differential_attention(
    Q1, Q2, K1, K2, V, lam, mask=None, *, scale=None
) -> tuple[np.ndarray, DifferentialCache]:
    """The output of one attention less λ times that of another over the same values.

    Q1, Q2  (..., Tq, Dk)
    K1, K2  (..., Tk, Dk)
    V       (..., Tk, Dv)
    lam     (H,), or what broadcasts to the leading axes: λ of each head
    mask, scale  as in `attention`, for both

    Returns O (..., Tq, Dv) and the cache. A query that may attend to nothing gets 0.
    Raises ValueError if shapes disagree or there is not one λ for each head.

    >>> Q, K, V = np.zeros((1, 1, 2)), np.zeros((1, 3, 2)), np.array([[[1.0], [2.0], [3.0]]])
    >>> differential_attention(Q, Q, K, K, V, np.array([0.25]))[0].round(9).tolist()
    [[[1.5]]]
    """
    spec = "Q1 ... Tq Dk, Q2 ... Tq Dk, K1 ... Tk Dk, K2 ... Tk Dk, V ... Tk Dv, lam ..."
    require_shapes(spec, Q1, Q2, K1, K2, V, lam)
    O1, first = attention(Q1, K1, V, mask, scale=scale)
    O2, second = attention(Q2, K2, V, mask, scale=scale)
    if O1.shape[:-2] != np.broadcast_shapes(O1.shape[:-2], lam.shape):
        raise ValueError(f"lam {lam.shape} must be one for each head of O {O1.shape}: (H,)")
    return O1 - lam[..., None, None] * O2, DifferentialCache(first, second, O2, lam)


@quiet
def differential_attention_backward(dO, cache: DifferentialCache) -> tuple:
    """dQ1, dQ2, dK1, dK2, dV and dlam from dO (..., Tq, Dv)."""
    first, second, O2, lam = cache
    require_shapes("dO =... Tq Dv, O2 ... Tq Dv", dO, O2)
    # O = O₁ − λ O₂
    dlam = unbroadcast(-(dO * O2).sum(axis=(-2, -1)), lam.shape)
    dQ1, dK1, dV1 = attention_backward(dO, first)
    dQ2, dK2, dV2 = attention_backward(-lam[..., None, None] * dO, second)
    return dQ1, dQ2, dK1, dK2, dV1 + dV2, dlam


class LambdaParams(NamedTuple):
    """What differential_lambda learns. The gradient has the same type."""

    q1: np.ndarray  # (H, D)
    k1: np.ndarray  # (H, D)
    q2: np.ndarray  # (H, D)
    k2: np.ndarray  # (H, D)


class LambdaCache(NamedTuple):
    """What differential_lambda_backward reads."""

    params: LambdaParams
    first: np.ndarray   # (H,) exp(q₁ · k₁)
    second: np.ndarray  # (H,) exp(q₂ · k₂)


@quiet
def differential_lambda(params, *, initial=0.8) -> tuple[np.ndarray, LambdaCache]:
    """λ of each head, (H,), from vectors that learn faster than one number would; and the cache."""
    q1, k1, q2, k2 = params
    require_shapes("q1 ... D, k1 ... D, q2 ... D, k2 ... D", *params)
    first, second = np.exp((q1 * k1).sum(axis=-1)), np.exp((q2 * k2).sum(axis=-1))
    return first - second + require_real(initial=initial), LambdaCache(params, first, second)


@quiet
def differential_lambda_backward(dlam, cache: LambdaCache) -> LambdaParams:
    """dparams from dlam (H,)."""
    (q1, k1, q2, k2), first, second = cache
    require_shapes("dlam =..., lam ...", dlam, first)
    d1, d2 = (dlam * first)[..., None], (-dlam * second)[..., None]
    return LambdaParams(d1 * k1, d1 * q1, d2 * k2, d2 * q2)
