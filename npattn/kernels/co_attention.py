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

import numpy as np

from npattn.kernels.attention import AttendCache, attend, attend_backward
from npattn.kernels.floats import quiet
from npattn.kernels.scores import DotScoresCache, dot_scores, dot_scores_backward
from npattn.kernels.shapes import require_shapes


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


@quiet
def co_attention(
    A, B, Va, Vb, mask_a=None, mask_b=None, *, scale=None
) -> tuple[tuple[np.ndarray, np.ndarray], CoAttentionCache]:
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
    attend to nothing gets 0; one that neither attends nor is attended to changes neither outputs
    nor gradients, not even as NaN or inf.
    Raises ValueError if widths, lengths or leading axes disagree, TypeError for anything but
    float32 or float64 arrays of one precision.

    >>> A, B, V = np.zeros((1, 2)), np.zeros((2, 2)), np.array([[1.0], [3.0]])
    >>> (Oa, Ob), cache = co_attention(A, B, V[:1], V)
    >>> Oa.tolist(), Ob.tolist()
    ([[2.0]], [[1.0], [1.0]])
    """
    require_shapes("A ... Ta Dk, B ... Tb Dk, Va ... Ta Da, Vb ... Tb Db", A, B, Va, Vb)
    S, scores = dot_scores(A, B, scale=scale)
    Oa, a = attend(S, Vb, mask_a)
    Ob, b = attend(S.swapaxes(-1, -2), Va, mask_b)
    return (Oa, Ob), CoAttentionCache(scores, a, b)


@quiet
def co_attention_backward(dO, cache: CoAttentionCache) -> tuple[np.ndarray, ...]:
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
