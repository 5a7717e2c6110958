"""Softmax and its logarithm along the last axis, each with its backward.

    P_j = exp(S_j) / Z,   Z = Σ_k exp(S_k)      softmax       (..., Tq, Tk)
    L_j = S_j − log Z                           log-softmax   (..., Tq, Tk)

`...` stands for any leading axes (batch, heads). Adding a constant to a row of S changes
neither P nor L, so the row maximum is subtracted first and exp never overflows.
The masked softmax sums over the keys that a query may attend to, and over no others.
A gradient carries the name of what it differentiates: dP is ∂loss/∂P.
Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.1; d2l 11.3.2.
"""

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.shapes import require_mask, require_shapes
from npattn.kernels.sums import row_sums


def softmax(S) -> np.ndarray:
    """Softmax over the last axis: positive weights that sum to 1.

    S     (..., Tk)  real scores, natural-log units

    Returns P alone, shaped like S: the backward needs nothing else. An entry of −inf gets weight
    0; a row of nothing but −inf is all zeros. Raises TypeError if S is not a float array.

    >>> softmax(np.log([1.0, 3.0])).round(3).tolist()
    [0.25, 0.75]
    """
    return masked_softmax(S)


@quiet
def masked_softmax(S, mask=None, *, out=None) -> np.ndarray:
    """Softmax over the last axis, restricted to the keys that `mask` allows.

    S     (..., Tq, Tk)  real scores, natural-log units
    mask  bool, broadcastable to S; True means "may attend". None allows all.
    out   where to put P; may be S itself, which is then overwritten

    Returns P alone, shaped like S: a row sums to 1, a disallowed entry is exactly 0,
    and a row that allows no key is all zeros, not NaN.
    Raises TypeError if mask is not boolean, ValueError if it does not broadcast to S.

    >>> masked_softmax(np.zeros((2, 2)), np.array([[True, False], [False, False]])).tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """
    require_shapes("S ... Tk", S)
    if mask is not None:
        S = S if out is S else S.copy()
        np.copyto(S, -np.inf, where=~require_mask(mask, S.shape, "the scores S"))
    top = S.real.max(axis=-1, keepdims=True, initial=np.finfo(S.dtype).min)  # finite, also if empty
    P = np.subtract(S, top, out=out)
    np.exp(P, out=P)
    Z = row_sums(P)
    return np.divide(P, Z + (Z == 0.0), out=P)  # Z is 0 in an empty row only


@quiet
def softmax_backward(dP, P, *, out=None) -> np.ndarray:
    """dS from dP. The output P is all that is needed, not S and not the mask.

    out  where to put a real dS; may be dP itself, which is then overwritten

    ∂P_j/∂S_k = P_j (δ_jk − P_k), so  dS = dP ⊙ P − P Σ_j (dP ⊙ P)_j.
    P is 0 where masked, hence so is dS.
    """
    require_shapes("dP =... Tk, P ... Tk", dP, P)
    dS = np.multiply(dP, P, out=out if P.dtype == dP.dtype else None)
    return np.subtract(dS, P * row_sums(dS), out=dS)


@quiet
def log_softmax(S) -> np.ndarray:
    """The logarithm of `softmax`, without ever taking the log of an underflowed weight.

    S     (..., C)  real scores, natural-log units

    Returns L alone, shaped like S; exp(L) sums to 1 along the last axis. An entry of −inf stays
    −inf; a row of nothing else gives NaN. Raises TypeError if S is not a float array.

    >>> log_softmax(np.zeros(4)).round(4).tolist()
    [-1.3863, -1.3863, -1.3863, -1.3863]
    """
    require_shapes("S ... C", S)
    L = S - S.real.max(axis=-1, keepdims=True, initial=-np.inf)
    L -= np.log(row_sums(np.exp(L)))
    return L


@quiet
def log_softmax_backward(dL, L) -> np.ndarray:
    """dS from dL and the output L.

    ∂L_j/∂S_k = δ_jk − P_k with P = exp(L), so  dS = dL − P Σ_j dL_j.
    """
    require_shapes("dL =... C, L ... C", dL, L)
    return dL - np.exp(L) * row_sums(dL)
