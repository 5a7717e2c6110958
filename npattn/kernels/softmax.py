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

from npattn.kernels.arrays import require_floats, require_mask
from npattn.kernels.sums import row_sums


def softmax(S):
    """Softmax over the last axis: positive weights that sum to 1.

    S     (..., Tk)  real scores, natural-log units

    Returns P, shaped like S. An entry of −inf gets weight 0; a row of nothing but −inf
    is all zeros, as in `masked_softmax`.
    Raises TypeError if S is not a float array.
    """
    return masked_softmax(S)


def masked_softmax(S, mask=None, *, out=None):
    """Softmax over the last axis, restricted to the keys that `mask` allows.

    S     (..., Tq, Tk)  real scores, natural-log units
    mask  bool, broadcastable to S; True means "may attend". None allows all.
    out   where to put P; S itself will do, if nobody needs the scores any more

    Returns P, shaped like S: a row sums to 1, a disallowed entry is exactly 0,
    and a row that allows no key is all zeros, not NaN.
    Raises TypeError if mask is not boolean, ValueError if it does not broadcast to S, or S has
    no axis.
    """
    _require_scores(S)
    if mask is not None:
        require_mask(mask, S.shape, "the scores S")
        S = S if out is S else S.copy()
        np.copyto(S, -np.inf, where=~mask)
    E = np.subtract(S, _finite_top(S), out=out)
    np.exp(E, out=E)
    Z = row_sums(E)
    E /= np.where(Z == 0.0, 1.0, Z)  # Z is 0 in an empty row only
    return E


def softmax_backward(dP, P, *, out=None):
    """dS from dP. The output P is all that is needed, not S and not the mask.

    out  where to put dS; dP itself will do, if nobody needs it any more

    ∂P_j/∂S_k = P_j (δ_jk − P_k), so  dS = P ⊙ (dP − Σ_j dP_j P_j).
    P is 0 where masked, hence so is dS.
    """
    dS = np.multiply(dP, P, out=out)
    dS -= P * row_sums(dS)
    return dS


def log_softmax(S):
    """The logarithm of `softmax`, without ever taking the log of an underflowed weight.

    S     (..., C)  real scores, natural-log units

    Returns L, shaped like S, with exp(L) summing to 1 along the last axis. An entry of −inf stays
    −inf; a row of nothing else is no distribution and gives NaN.
    Raises TypeError if S is not a float array.
    """
    _require_scores(S)
    L = S - _finite_top(S)
    L -= np.log(row_sums(np.exp(L)))
    return L


def log_softmax_backward(dL, L):
    """dS from dL and the output L.

    ∂L_j/∂S_k = δ_jk − P_k with P = exp(L), so  dS = dL − P Σ_j dL_j.
    """
    return dL - np.exp(L) * row_sums(dL)


def _require_scores(S):
    """Scores are float and have rows."""
    require_floats(S=S)
    if not S.ndim:
        raise ValueError("S must be (..., Tk) with at least one axis, got shape ()")


def _finite_top(S):
    """The row maximum to subtract; 0 for an empty row, so that exp(−inf − 0) is 0."""
    top = S.real.max(axis=-1, keepdims=True, initial=-np.inf)
    return np.where(top == -np.inf, 0.0, top)
