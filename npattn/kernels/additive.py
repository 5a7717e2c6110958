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

from npattn.kernels.arrays import as_rows, require_floats, require_mask
from npattn.kernels.attend import AttendCache, attend, attend_backward
from npattn.kernels.initial import glorot_uniform
from npattn.kernels.weighted_sum import weighted_sum


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


def init_additive(Dq, Dk, H, rng, *, dtype=np.float64):
    """Glorot-uniform, w as a layer with one output."""
    Wq, Wk, w = (glorot_uniform(*sizes, rng, dtype) for sizes in ((Dq, H), (Dk, H), (H, 1)))
    return AdditiveParams(Wq, Wk, w[:, 0])


def additive_attention(Q, K, V, params, mask=None, *, dropout=0.0, rng=None):
    """Each query returns an average of the values, weighted by a learned match to each key.

    Q        (..., Tq, Dq)  queries
    K        (..., Tk, Dk)  keys
    V        (..., Tk, Dv)  values
    params   AdditiveParams: Wq (Dq, H), Wk (Dk, H), w (H,)
    mask     bool, broadcastable to (..., Tq, Tk); True means "may attend"
    dropout  share of the weights that is dropped while rng, a Generator, is given

    Returns O (..., Tq, Dv) and the cache. A query that may attend to nothing gets 0.
    A key or value that a query may not attend to cannot reach it, not even as NaN or inf.
    Raises ValueError if widths, key counts or leading axes disagree, TypeError for
    anything but float32 or float64 arrays of one precision.
    """
    Wq, Wk, w = params
    require_floats(Q=Q, K=K, V=V, Wq=Wq, Wk=Wk, w=w)
    _require_matching(Q, K, V, params)
    with np.errstate(invalid="ignore", over="ignore"):  # a masked key may hold anything
        F = np.tanh((Q @ Wq)[..., :, None, :] + (K @ Wk)[..., None, :, :])
    if mask is not None:
        F = np.where(require_mask(mask, F.shape[:-1])[..., None], F, 0.0)
    O, attended = attend(F @ w, V, mask, dropout=dropout, rng=rng)
    return O, AdditiveCache(Q, K, params, F, attended)


def additive_attention_backward(dO, cache):
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
    dHq, dHk = dH.sum(axis=-2), dH.sum(axis=-3)
    # Hq = Q Wq,  Hk = K Wk
    return dHq @ Wq.T, dHk @ Wk.T, dV, AdditiveParams(_product(Q, dHq), _product(K, dHk), dw)


def _product(X, dH):
    """Xᵀ dH over all positions, in which a position with gradient 0 is silent, be X NaN or inf."""
    return weighted_sum(as_rows(dH).T, as_rows(X)).T


def _require_matching(Q, K, V, params):
    """One count for K and V, the same leading axes on all, and widths that fit the parameters."""
    Wq, Wk, w = params
    shapes = f"Q {Q.shape}, K {K.shape}, V {V.shape}"
    if min(Q.ndim, K.ndim, V.ndim) < 2:
        raise ValueError(f"{shapes}: each needs at least the two axes (T, D)")
    if Q.shape[:-2] != K.shape[:-2] or K.shape[:-1] != V.shape[:-1]:
        raise ValueError(f"{shapes}: leading axes must agree, and K and V have one count")
    widths = (Q.shape[-1], *w.shape), (K.shape[-1], *w.shape)
    if w.ndim != 1 or (Wq.shape, Wk.shape) != widths:
        raise ValueError(
            f"Q {Q.shape} and K {K.shape} do not fit Wq {Wq.shape}, Wk {Wk.shape} and w {w.shape}: "
            "they must be (Dq, H), (Dk, H) and (H,)"
        )
