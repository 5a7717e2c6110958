"""Bidirectional cross-attention: two sequences read each other through one table of scores.

    S  = A Bᵀ · scale      scores                  (..., Ta, Tb)   scale = 1/√Dk unless given
    Pa = softmax(S)        weights of a over b     (..., Ta, Tb)   each row sums to 1
    Pb = softmax(Sᵀ)       weights of b over a     (..., Tb, Ta)   each row sums to 1
    Oa = Pa Vb             what a reads from b     (..., Ta, Db)
    Ob = Pb Va             what b reads from a     (..., Tb, Da)

Each position is a query to the other side and a key for it, so S serves both ways and is
computed once; its gradient is a sum over both ways. The first way alone is `attention`.
Source: Lu et al. 2016, "Hierarchical Question-Image Co-Attention", section 3.3 (one affinity
matrix, normalized along either axis); the gradient is derived here.
"""

from typing import NamedTuple

from npattn.kernels.arrays import require_floats
from npattn.kernels.attend import AttendCache, attend, attend_backward
from npattn.kernels.scores import DotScoresCache, dot_scores, dot_scores_backward


class CoAttentionCache(NamedTuple):
    """Everything that co_attention_backward reads. Pa and Pb are also what heatmaps draw."""

    scores: DotScoresCache
    a: AttendCache  # what a reads from b
    b: AttendCache  # what b reads from a

    @property
    def Pa(self):
        """The weights of a over b, (..., Ta, Tb)."""
        return self.a.P

    @property
    def Pb(self):
        """The weights of b over a, (..., Tb, Ta)."""
        return self.b.P


def co_attention(A, B, Va, Vb, mask_a=None, mask_b=None, *, scale=None):
    """Each side gets an average of the other side's values, weighted by the shared scores.

    A       (..., Ta, Dk)  what the positions of a are matched by
    B       (..., Tb, Dk)  what the positions of b are matched by
    Va      (..., Ta, Da)  what b reads
    Vb      (..., Tb, Db)  what a reads
    mask_a  bool, broadcastable to (..., Ta, Tb); True means "a may attend to b"
    mask_b  bool, broadcastable to (..., Tb, Ta); True means "b may attend to a"
    scale   factor on the scores; None means 1/√Dk

    Returns (Oa, Ob), Oa (..., Ta, Db) and Ob (..., Tb, Da), and the cache. Padding in b is a
    mask_a of shape (..., 1, Tb), padding in a a mask_b of shape (..., 1, Ta). A position that may
    attend to nothing gets 0; one that neither attends nor is attended to cannot be felt, neither
    in the outputs nor in the gradients, not even as NaN or inf.
    Raises ValueError if widths, lengths or leading axes disagree, TypeError for anything but
    float32 or float64 arrays of one precision.
    """
    require_floats(A=A, B=B, Va=Va, Vb=Vb)
    _require_matching(A, B, Va, Vb)
    S, scores = dot_scores(A, B, scale=scale)
    Oa, a = attend(S, Vb, mask_a)
    Ob, b = attend(S.swapaxes(-1, -2), Va, mask_b)
    return (Oa, Ob), CoAttentionCache(scores, a, b)


def co_attention_backward(dO, cache):
    """dA, dB, dVa, dVb from (dOa, dOb).

    S is read along its rows and along its columns, so its gradient has two terms:
    dS_ij = Pa_ij (dPa_ij − Σ_k dPa_ik Pa_ik) + Pb_ji (dPb_ji − Σ_k dPb_jk Pb_jk),
    with dPa = dOa Vbᵀ and dPb = dOb Vaᵀ.
    """
    dOa, dOb = dO
    # Oa = softmax(S) Vb,  Ob = softmax(Sᵀ) Va
    dSa, dVb = attend_backward(dOa, cache.a)
    dSb, dVa = attend_backward(dOb, cache.b)
    # S = A Bᵀ · scale
    dA, dB = dot_scores_backward(dSa + dSb.swapaxes(-1, -2), cache.scores)
    return dA, dB, dVa, dVb


def _require_matching(A, B, Va, Vb):
    """One width for A and B, one length on each side, the same leading axes on all."""
    shapes = f"A {A.shape}, B {B.shape}, Va {Va.shape}, Vb {Vb.shape}"
    if min(A.ndim, B.ndim, Va.ndim, Vb.ndim) < 2:
        why = "each needs at least the two axes (T, D)"
    elif A.shape[-1] != B.shape[-1]:
        why = f"A is {A.shape[-1]} wide but B {B.shape[-1]}"
    elif A.shape[-2] != Va.shape[-2] or B.shape[-2] != Vb.shape[-2]:
        why = "A and Va need one length, B and Vb another"
    elif not A.shape[:-2] == B.shape[:-2] == Va.shape[:-2] == Vb.shape[:-2]:
        why = "the leading axes differ; np.broadcast_to makes them equal"
    else:
        return
    raise ValueError(f"shapes disagree: {shapes}: {why}")
