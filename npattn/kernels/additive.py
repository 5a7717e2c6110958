"""Additive attention and its backward: a small network scores each query against each key.

    F = tanh(Q Wq ⊕ K Wk)     features   (..., Tq, Tk, H)   ⊕ adds every query to every key
    S = F w                   scores     (..., Tq, Tk)
    O = attend(S, V)          output     (..., Tq, Dv)      softmax, dropout, weighted sum

`...` stands for any leading axes, the same on Q, K and V. Queries and keys may differ in width,
which the dot product does not allow; the price is a feature vector for each pair of them.
Source: Bahdanau, Cho and Bengio 2015, "Neural Machine Translation by Jointly Learning to Align
and Translate", section 3.1 and appendix A.1.2; d2l 11.3.4.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.attention import AttendCache, attend, attend_backward
from npattn.kernels.floats import quiet
from npattn.kernels.linear import glorot_uniform
from npattn.kernels.shapes import require_mask, require_shapes
from npattn.kernels.sums import as_rows, unbroadcast, weighted_sum


class AdditiveParams(NamedTuple):
    """What additive_attention learns. The gradient has the same type."""

    Wq: np.ndarray  # (Dq, H)
    Wk: np.ndarray  # (Dk, H)
    w: np.ndarray   # (H,)


class AdditiveCache(NamedTuple):
    """Everything that additive_attention_backward reads. P is also what a heatmap draws."""

    Q: np.ndarray            # (..., Tq, Dq)
    K: np.ndarray            # (..., Tk, Dk)
    params: AdditiveParams
    F: np.ndarray            # (..., Tq, Tk, H) 0 where disallowed
    attended: AttendCache

    @property
    def P(self):
        """The weights before dropout, (..., Tq, Tk)."""
        return self.attended.P


def init_additive(Dq, Dk, H, rng, *, dtype=np.float64) -> AdditiveParams:
    """Glorot-uniform, w as a layer with one output."""
    Wq, Wk, w = (glorot_uniform(*sizes, rng, dtype) for sizes in ((Dq, H), (Dk, H), (H, 1)))
    return AdditiveParams(Wq, Wk, w[:, 0])


@quiet
def additive_attention(
    Q, K, V, params, mask=None, *, dropout=0.0, rng=None
) -> tuple[np.ndarray, AdditiveCache]:
    """Each query returns an average of the values, weighted by a learned match to each key.

    Q        (..., Tq, Dq)  queries
    K        (..., Tk, Dk)  keys
    V        (..., Tk, Dv)  values
    params   AdditiveParams: Wq (Dq, H), Wk (Dk, H), w (H,)
    mask     bool, broadcastable to (..., Tq, Tk); True means "may attend"
    dropout  share of the weights that is dropped while rng, a Generator, is given

    Returns O (..., Tq, Dv) and the cache. A query that may attend to nothing gets 0.
    A masked key or value cannot reach the output, not even as NaN or inf.
    Raises ValueError if widths, key counts or leading axes disagree, TypeError for
    anything but float32 or float64 arrays of one precision.

    >>> params = AdditiveParams(np.eye(1), np.eye(1), np.ones(1))
    >>> Q, K, V = np.zeros((1, 1)), np.zeros((2, 1)), np.array([[1.0], [3.0]])
    >>> additive_attention(Q, K, V, params)[0].tolist()
    [[2.0]]
    """
    Wq, Wk, w = params
    require_shapes("Q ... Tq Dq, K ... Tk Dk, V ... Tk Dv, Wq Dq H, Wk Dk H, w H",
                   Q, K, V, *params)
    F = np.tanh((Q @ Wq)[..., :, None, :] + (K @ Wk)[..., None, :, :])
    if mask is not None:
        F = np.where(require_mask(mask, F.shape[:-1])[..., None], F, 0.0)
    O, attended = attend(F @ w, V, mask, dropout=dropout, rng=rng)
    return O, AdditiveCache(Q, K, params, F, attended)


@quiet
def additive_attention_backward(dO, cache: AdditiveCache) -> tuple[np.ndarray, ...]:
    """dQ, dK, dV and dparams from dO (..., Tq, Dv): the forward's lines, undone in reverse.

    A query meets every key and a key every query, so their gradients are sums over the pairs;
    tanh′ = 1 − tanh².
    """
    Q, K, (Wq, Wk, w), F, attended = cache
    # O = attend(S, V)
    dS, dV = attend_backward(dO, attended)
    # S = F w
    dw = np.tensordot(dS, F, axes=dS.ndim)
    dF = dS[..., None] * w
    # F = tanh(Hq ⊕ Hk)
    dH = dF * (1.0 - F * F)
    dHq = unbroadcast(dH.sum(axis=-2), (*Q.shape[:-1], len(w)))
    dHk = unbroadcast(dH.sum(axis=-3), (*K.shape[:-1], len(w)))
    # Hq = Q Wq,  Hk = K Wk
    return dHq @ Wq.T, dHk @ Wk.T, dV, AdditiveParams(_product(Q, dHq), _product(K, dHk), dw)


def _product(X, dH):
    """Xᵀ dH over all positions; a position whose gradient is 0 does not count, even as NaN."""
    return weighted_sum(as_rows(dH).T, as_rows(X)).T
