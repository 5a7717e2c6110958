"""Scaled dot-product attention and its gradient, on one page.

    S = (scale · Q) Kᵀ            scores    (..., Tq, Tk)   scale = 1/√Dk unless given
    P = softmax(S)                weights   (..., Tq, Tk)   over the allowed keys
    O = P V                       output    (..., Tq, Dv)

    dV = Pᵀ dO
    dP = dO Vᵀ
    dS = P ⊙ (dP − Σ_j dP ⊙ P)
    dQ = scale · dS K
    dK = dSᵀ (scale · Q)

With dropout A = P ⊙ keep takes the place of P in O and dV, and dP = dA ⊙ keep. The lines from S
to O, and back, are the pair `attend`, which takes any scores: pages `scores` and `distances`.
`...` stands for any leading axes (batch, heads). They broadcast: an axis of length 1 is shared,
and its gradient is the sum: Q (..., G, r, Tq, Dk) with K and V (..., G, 1, Tk, D) are G·r heads in
G groups. Self-attention: Q = K = V; cross-attention: Tq ≠ Tk. dO stands for ∂loss/∂O.
Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.1; d2l 11.3.
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.kernels.dropout import draw_keep
from npattn.kernels.floats import half_in, half_out, quiet
from npattn.kernels.options import require_real
from npattn.kernels.shapes import require_shapes
from npattn.kernels.softmax import masked_softmax, softmax_backward
from npattn.kernels.sums import all_finite, unbroadcast, weighted_sum


class AttendCache(NamedTuple):
    """What attend_backward reads. P is also what a heatmap draws."""

    V: np.ndarray            # (..., Tk, Dv)
    P: np.ndarray            # (..., Tq, Tk) weights before dropout
    keep: np.ndarray | None  # (..., Tq, Tk) dropout multiplier, 0 or 1 / (1 − rate)
    mask: np.ndarray | None  # as given; for drawings, since P = 0 may also be underflow


@quiet
def attend(S, V, mask=None, *, dropout=0.0, rng=None, out=None) -> tuple[np.ndarray, AttendCache]:
    """Each query returns an average of the values, weighted by the softmax of its scores.

    S    (..., Tq, Tk)  scores, natural-log units
    V    (..., Tk, Dv)  values
    out  where to put the weights; may be S itself, which is then overwritten
    mask, dropout, rng  as in `attention`

    Returns O (..., Tq, Dv) and the cache, with the promises and the errors of `attention`.

    >>> S, V = np.log([[1.0, 3.0]]), np.array([[4.0], [8.0]])
    >>> O, cache = attend(S, V)
    >>> cache.P.round(3).tolist(), O.round(3).tolist()
    ([[0.25, 0.75]], [[7.0]])
    """
    require_shapes("S ... Tq Tk, V ... Tk Dv", S, V)
    P = masked_softmax(S, mask, out=out)
    keep = None if type(dropout) is float and not dropout else draw_keep(P, dropout, rng)
    A = P if keep is None else P * keep
    O = A @ V
    if not all_finite(O):  # a masked value may be NaN, and 0 · NaN is NaN
        O = weighted_sum(A, V)
    return O, AttendCache(V, P, keep, mask)


@quiet
def attend_backward(dO, cache: AttendCache) -> tuple[np.ndarray, np.ndarray]:
    """dS and dV from dO (..., Tq, Dv): the forward's lines, undone in reverse."""
    V, P, keep, _ = cache
    require_shapes("dO =... Tq Dv, P ... Tq Tk, V ... Tk Dv", dO, P, V)
    A = P if keep is None else P * keep
    # O = A V
    dV = A.swapaxes(-1, -2) @ dO
    dA = dO @ V.swapaxes(-1, -2)
    if not all_finite(dV, dA):  # as above: what has no weight does not count
        dV, dA = weighted_sum(A.swapaxes(-1, -2), dO), np.where(A == 0.0, 0.0, dA)
    # A = P ⊙ keep
    dP = unbroadcast(dA if keep is None else dA * keep, P)
    # P = softmax(S)
    return softmax_backward(dP, P, out=dP), unbroadcast(dV, V)


class AttentionCache(NamedTuple):
    """What attention_backward reads. P is also what a heatmap draws."""

    Q: np.ndarray            # (..., Tq, Dk)
    K: np.ndarray            # (..., Tk, Dk)
    V: np.ndarray            # (..., Tk, Dv)
    P: np.ndarray            # (..., Tq, Tk) weights before dropout
    keep: np.ndarray | None  # (..., Tq, Tk) dropout multiplier, 0 or 1 / (1 − rate)
    scale: float
    mask: np.ndarray | None  # as given; for drawings, since P = 0 may also be underflow
    half: np.dtype | None = None  # float16 or bfloat16 where Q, K and V came as such


@half_in
def attention(
    Q, K, V, mask=None, *, scale=None, dropout=0.0, rng=None
) -> tuple[np.ndarray, AttentionCache]:
    """Each query returns an average of the values, weighted by its match to each key.

    Q        (..., Tq, Dk)  queries
    K        (..., Tk, Dk)  keys
    V        (..., Tk, Dv)  values
    mask     bool, broadcastable to (..., Tq, Tk); True means "may attend"
    scale    factor on the scores; None means 1/√Dk
    dropout  share of the weights that is dropped while rng, a Generator, is given

    Returns O (..., Tq, Dv) and the cache. A query that may attend to nothing gets 0. A masked key
    or value cannot reach the output, not even as NaN or inf. Half precision is computed in float32.
    Raises ValueError if shapes disagree, TypeError for other than float arrays of one precision.

    >>> Q, K, V = np.eye(2), np.eye(2), np.array([[1.0], [3.0]])
    >>> O, cache = attention(Q, K, V, mask=np.array([True, False]))
    >>> O.tolist(), cache.P.tolist()
    ([[1.0], [1.0]], [[1.0, 0.0], [1.0, 0.0]])
    """
    require_shapes("Q ... Tq Dk, K ... Tk Dk, V ... Tk Dv", Q, K, V)
    scale = 1.0 / math.sqrt(max(1, Q.shape[-1])) if scale is None else require_real(scale=scale)
    S = (scale * Q) @ K.swapaxes(-1, -2)
    O, attended = attend(S, V, mask, dropout=dropout, rng=rng, out=S)
    return O, AttentionCache(Q, K, V, attended.P, attended.keep, scale, mask)


@half_out
def attention_backward(dO, cache: AttentionCache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dQ, dK, dV from dO (..., Tq, Dv): the forward's lines, undone in reverse."""
    Q, K, V, P, keep, scale, mask, _ = cache
    # O = P V,  P = softmax(S)
    dS, dV = attend_backward(dO, AttendCache(V, P, keep, mask))
    # S = (scale · Q) Kᵀ
    dQ = scale * (dS @ K)
    dK = dS.swapaxes(-1, -2) @ (scale * Q)
    if not all_finite(dQ, dK):  # a masked key, or a query without a key, may be NaN
        dQ = scale * weighted_sum(dS, K)
        dK = weighted_sum(dS.swapaxes(-1, -2), scale * Q)
    return unbroadcast(dQ, Q), unbroadcast(dK, K), dV
