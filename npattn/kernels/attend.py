"""From scores to outputs: the half of attention that all kinds of scores share.

    P = softmax(S)      weights         (..., Tq, Tk)   over the allowed keys
    A = P ⊙ keep        after dropout   (..., Tq, Tk)   A = P without dropout
    O = A V             output          (..., Tq, Dv)

`...` stands for any leading axes, the same on S and V. How queries and keys make S is left to
others: `attention` takes scaled dot products, and the pages `scores` and `distances` have pairs
to go in front of this one:

    S, scored = bilinear_scores(Q, K, M)        dS, dV = attend_backward(dO, attended)
    O, attended = attend(S, V, mask)            dQ, dK, dM = bilinear_scores_backward(dS, scored)

Source: d2l 11.1, 11.3; Vaswani et al. 2017, section 3.2.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import all_finite, require_floats
from npattn.kernels.dropout import draw_keep
from npattn.kernels.softmax import masked_softmax, softmax_backward
from npattn.kernels.weighted_sum import weighted_sum


class AttendCache(NamedTuple):
    """Everything that attend_backward reads. P is also what a heatmap draws."""

    V: np.ndarray            # (..., Tk, Dv)
    P: np.ndarray            # (..., Tq, Tk) weights before dropout
    keep: np.ndarray | None  # (..., Tq, Tk) dropout multiplier, 0 or 1 / (1 − rate)
    mask: np.ndarray | None  # as given; for drawings, since P = 0 may also be underflow


def attend(S, V, mask=None, *, dropout=0.0, rng=None, out=None):
    """Each query returns an average of the values, weighted by the softmax of its scores.

    S        (..., Tq, Tk)  scores, natural-log units
    V        (..., Tk, Dv)  values
    mask     bool, broadcastable to S; True means "may attend"
    dropout  share of the weights that is dropped while rng, a Generator, is given
    out      where to put the weights; S itself will do, if nobody needs the scores any more

    Returns O (..., Tq, Dv) and the cache. A query that may attend to nothing gets 0.
    A score or value behind the mask cannot reach the output, not even as NaN or inf.
    Raises ValueError if key counts or leading axes disagree, TypeError for anything but
    float32 or float64 arrays of one precision.
    """
    require_floats(S=S, V=V)
    if min(S.ndim, V.ndim) < 2 or (*S.shape[:-2], S.shape[-1]) != V.shape[:-1]:
        raise ValueError(f"S {S.shape} and V {V.shape} must be (..., Tq, Tk) and (..., Tk, Dv)")
    P = masked_softmax(S, mask, out=out)
    keep = draw_keep(P, dropout, rng)
    A = P if keep is None else P * keep
    return weighted_sum(A, V), AttendCache(V, P, keep, mask)


def attend_backward(dO, cache):
    """dS and dV from dO (..., Tq, Dv): the forward's lines, undone in reverse."""
    V, P, keep, _ = cache
    A = P if keep is None else P * keep
    # O = A V
    with np.errstate(invalid="ignore", over="ignore"):  # a masked value may be anything
        dA = dO @ V.swapaxes(-1, -2)
    if not all_finite(dA):
        dA = np.where(A == 0.0, 0.0, dA)  # a masked value moves no weight
    dV = weighted_sum(A.swapaxes(-1, -2), dO)
    # A = P ⊙ keep
    dP = dA if keep is None else dA * keep
    # P = softmax(S)
    return softmax_backward(dP, P, out=None if np.iscomplexobj(P) else dP), dV
