"""Attention with a term added to its scores, learned or fixed.

    S = Q Kᵀ · scale + bias      P = softmax(S)      O = P V

The bias tells every query how much it should like each key whatever the two contain: by their
distance, learned (`relative_bias`), or falling off linearly (`alibi_bias`). An entry of −inf
forbids, as a mask does: what is behind it changes nothing, not even as NaN.
Source: Raffel et al. 2020 (T5), section 2.1; Press, Smith and Lewis 2022, section 3.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.attention import AttendCache, attend, attend_backward
from npattn.kernels.floats import half_in, half_out
from npattn.kernels.score_bias import BiasCache, add_bias, add_bias_backward
from npattn.kernels.scores import DotScoresCache, dot_scores, dot_scores_backward
from npattn.kernels.shapes import require_shapes


class BiasedAttentionCache(NamedTuple):
    """What biased_attention_backward reads. P is also what a heatmap draws."""

    scores: DotScoresCache
    bias: BiasCache
    attended: AttendCache
    half: np.dtype | None = None  # float16 or bfloat16 where the arguments came as such

    @property
    def P(self):
        """The weights before dropout, (..., Tq, Tk)."""
        return self.attended.P


@half_in
def biased_attention(
    Q, K, V, bias, mask=None, *, scale=None, dropout=0.0, rng=None
) -> tuple[np.ndarray, BiasedAttentionCache]:
    """`attention` whose scores have a term added.

    Q, K, V  (..., Tq, Dk), (..., Tk, Dk), (..., Tk, Dv)
    bias     broadcastable to (..., Tq, Tk), natural-log units; (H, Tq, Tk) for one per head
    mask, scale, dropout, rng  as in `attention`

    Returns O (..., Tq, Dv) and the cache. Halves are taken as in `attention`.
    Raises ValueError if shapes disagree, TypeError for anything but float arrays of one precision.

    >>> Q, K, V = np.zeros((1, 1)), np.zeros((2, 1)), np.array([[4.0], [8.0]])
    >>> biased_attention(Q, K, V, np.log([[1.0, 3.0]]))[0].round(3).tolist()
    [[7.0]]
    """
    require_shapes("Q ... Tq Dk, K ... Tk Dk, V ... Tk Dv", Q, K, V)
    S, scores = dot_scores(Q, K, scale=scale)
    S, added = add_bias(S, bias)
    O, attended = attend(S, V, mask, dropout=dropout, rng=rng)
    return O, BiasedAttentionCache(scores, added, attended)


@half_out
def biased_attention_backward(dO, cache: BiasedAttentionCache) -> tuple[np.ndarray, ...]:
    """dQ, dK, dV and dbias from dO: a sum hands dS to both of its terms."""
    dS, dV = attend_backward(dO, cache.attended)
    dS, dbias = add_bias_backward(dS, cache.bias)
    dQ, dK = dot_scores_backward(dS, cache.scores)
    return dQ, dK, dV, dbias
