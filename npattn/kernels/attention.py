"""Scaled dot-product attention and its backward.

    S = Q Kᵀ · scale       scores          (..., Tq, Tk)   scale = 1/√Dk unless given
    P = softmax(S)         weights         (..., Tq, Tk)   over the allowed keys
    A = P ⊙ keep           after dropout   (..., Tq, Tk)   A = P without dropout
    O = A V                output          (..., Tq, Dv)   the last three are the page `attend`

`...` stands for any leading axes (batch, heads), the same on every argument.
Self-attention is the case Q = K = V; where Tq ≠ Tk this is cross-attention.
A gradient carries the name of what it differentiates: dO is ∂loss/∂O.
Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.1; d2l 11.3.3.
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats, require_matching
from npattn.kernels.attend import AttendCache, attend, attend_backward
from npattn.kernels.weighted_sum import weighted_sum


class AttentionCache(NamedTuple):
    """Everything that attention_backward reads. P is also what a heatmap draws."""

    Q: np.ndarray            # (..., Tq, Dk)
    K: np.ndarray            # (..., Tk, Dk)
    V: np.ndarray            # (..., Tk, Dv)
    P: np.ndarray            # (..., Tq, Tk) weights before dropout
    keep: np.ndarray | None  # (..., Tq, Tk) dropout multiplier, 0 or 1 / (1 − rate)
    scale: float
    mask: np.ndarray | None  # as given; for drawings, since P = 0 may also be underflow


def attention(Q, K, V, mask=None, *, scale=None, dropout=0.0, rng=None):
    """Each query returns an average of the values, weighted by its match to each key.

    Q        (..., Tq, Dk)  queries
    K        (..., Tk, Dk)  keys
    V        (..., Tk, Dv)  values
    mask     bool, broadcastable to (..., Tq, Tk); True means "may attend"
    scale    factor on the scores; None means 1/√Dk
    dropout  share of the weights that is dropped while rng, a Generator, is given

    Returns O (..., Tq, Dv) and the cache. A query that may attend to nothing gets 0.
    A key or value that a query may not attend to cannot reach it, not even as NaN or inf.
    Raises ValueError if widths, key counts or leading axes disagree, TypeError for
    anything but float32 or float64 arrays of one precision.
    """
    require_floats(Q=Q, K=K, V=V)
    require_matching(Q, K, V)
    scale = 1.0 / math.sqrt(Q.shape[-1]) if scale is None else float(scale)
    with np.errstate(invalid="ignore", over="ignore"):  # a masked key may hold anything
        S = (Q * scale) @ K.swapaxes(-1, -2)
    O, attended = attend(S, V, mask, dropout=dropout, rng=rng, out=S)
    return O, AttentionCache(Q, K, V, attended.P, attended.keep, scale, mask)


def attention_backward(dO, cache):
    """dQ, dK, dV from dO (..., Tq, Dv): the forward's lines, undone in reverse."""
    Q, K, V, P, keep, scale, mask = cache
    # O = (softmax(S) ⊙ keep) V
    dS, dV = attend_backward(dO, AttendCache(V, P, keep, mask))
    # S = Q Kᵀ · scale
    dQ = weighted_sum(dS, K) * scale
    dK = weighted_sum(dS.swapaxes(-1, -2), Q * scale)
    return dQ, dK, dV
