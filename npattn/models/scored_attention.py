"""Attention with something between the scores and the softmax: a cap, a bias, a sink.

    S = Q Kᵀ · scale                    (..., Tq, Tk)
    S = cap tanh(S / cap)               where there is a cap
    S = S + bias                        where there is a bias, (..., Tq, Tk)
    O = attend(S, V), with a sink       (..., Tq, Dv)

Kernels composed, no new calculus; `tiled_attention` does the same without the matrix.
Source: the pages soft_cap, score_bias and sinks.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.attention import AttendCache, attend, attend_backward
from npattn.kernels.floats import quiet
from npattn.kernels.sums import unbroadcast
from npattn.kernels.score_bias import BiasCache, add_bias, add_bias_backward
from npattn.kernels.scores import DotScoresCache, dot_scores, dot_scores_backward
from npattn.kernels.shapes import require_shapes
from npattn.kernels.sinks import SinkCache, attend_with_sink, attend_with_sink_backward
from npattn.kernels.soft_cap import SoftCapCache, soft_cap, soft_cap_backward


class ScoredCache(NamedTuple):
    """What scored_attention_backward reads."""

    scores: DotScoresCache
    capped: SoftCapCache | None
    biased: BiasCache | None
    attended: AttendCache | SinkCache
    shapes: tuple  # of K and V, whose leading axes may have length 1

    @property
    def P(self):
        """The weights, (..., Tq, Tk); with a sink a row sums to less than 1."""
        return self.attended.P

    @property
    def mask(self):
        """As `attend` keeps it; None with a sink."""
        return getattr(self.attended, "mask", None)


@quiet
def scored_attention(
    Q, K, V, mask=None, bias=None, sink=None, *, cap=None, scale=None, dropout=0.0, rng=None
):
    """`attention` with a soft cap, a bias or a sink.

    Q, K, V  (..., Tq, Dk), (..., Tk, Dk), (..., Tk, Dv)
    bias     broadcastable to the scores, as in `add_bias`
    sink     learned scores, broadcastable to the leading axes, as in `attend_with_sink`
    cap      as in `soft_cap`
    mask, scale, dropout, rng  as in `attention`

    Returns O (..., Tq, Dv) and the cache.
    """
    require_shapes("Q ... Tq Dk, K ... Tk Dk, V ... Tk Dv", Q, K, V)
    shapes = K.shape, V.shape
    lead = np.broadcast_shapes(Q.shape[:-2], K.shape[:-2], V.shape[:-2])
    K, V = (np.broadcast_to(X, (*lead, *X.shape[-2:])) for X in (K, V))
    S, scores = dot_scores(Q, K, scale=scale)
    capped = biased = None
    if cap is not None:
        S, capped = soft_cap(S, cap)
    if bias is not None:
        S, biased = add_bias(S, bias)
    if sink is None:
        O, attended = attend(S, V, mask, dropout=dropout, rng=rng)
    else:
        O, attended = attend_with_sink(S, V, sink, mask, dropout=dropout, rng=rng)
    return O, ScoredCache(scores, capped, biased, attended, shapes)


@quiet
def scored_attention_backward(dO, cache: ScoredCache):
    """dQ, dK, dV from dO (..., Tq, Dv); and dbias and dsink, where there is such a thing."""
    dbias = ()
    if isinstance(cache.attended, SinkCache):
        dS, dV, *dsink = attend_with_sink_backward(dO, cache.attended)
    else:
        (dS, dV), dsink = attend_backward(dO, cache.attended), ()
    if cache.biased is not None:
        dS, *dbias = add_bias_backward(dS, cache.biased)
    if cache.capped is not None:
        dS = soft_cap_backward(dS, cache.capped)
    dQ, dK = dot_scores_backward(dS, cache.scores)
    dK, dV = (unbroadcast(dX, X) for dX, X in zip((dK, dV), cache.shapes, strict=True))
    return dQ, dK, dV, *dbias, *dsink
