"""Attention with a term added to its scores, learned or fixed.

    S = Q Kᵀ · scale + bias      P = softmax(S)      O = P V

The bias tells every query how much it should like each key whatever the two contain: by their
distance, learned (`relative_bias`), or falling off linearly, which is ALiBi:

    bias[h, i, j] = −slope_h · |i − j|           slope_h = 2^(−8h/H), h = 1 … H

A head of steep slope sees its neighbours, one of flat slope the whole sequence. No position is
embedded, and longer sequences than those of the training still work.
Source: Press, Smith and Lewis 2022, "Train Short, Test Long", section 3; for S also Raffel et al.
2020 (T5), section 2.1.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.attend import AttendCache, attend, attend_backward
from npattn.kernels.broadcasting import sum_to_shape
from npattn.kernels.options import require_counts, require_float_dtype
from npattn.kernels.scores import DotScoresCache, dot_scores, dot_scores_backward


class BiasedAttentionCache(NamedTuple):
    """Everything that biased_attention_backward reads. P is also what a heatmap draws."""

    bias: np.ndarray  # broadcastable to (..., Tq, Tk)
    scores: DotScoresCache
    attended: AttendCache

    @property
    def P(self):
        """The weights before dropout, (..., Tq, Tk)."""
        return self.attended.P


def biased_attention(Q, K, V, bias, mask=None, *, scale=None, dropout=0.0, rng=None):
    """`attention` whose scores have a term added.

    Q, K, V  (..., Tq, Dk), (..., Tk, Dk), (..., Tk, Dv)
    bias     broadcastable to (..., Tq, Tk), natural-log units; (H, Tq, Tk) for one per head
    mask, scale, dropout, rng  as in `attention`

    Returns O (..., Tq, Dv) and the cache.
    Raises ValueError if shapes disagree, TypeError for anything but float32 or float64 arrays
    of one precision.
    """
    require_floats(Q=Q, K=K, V=V, bias=bias)
    S, scores = dot_scores(Q, K, scale=scale)
    try:
        S = S + np.broadcast_to(bias, S.shape)
    except ValueError:
        raise ValueError(f"bias {bias.shape} does not broadcast to the scores {S.shape}") from None
    O, attended = attend(S, V, mask, dropout=dropout, rng=rng)
    return O, BiasedAttentionCache(bias, scores, attended)


def biased_attention_backward(dO, cache):
    """dQ, dK, dV and dbias from dO: a sum hands dS to both of its terms."""
    dS, dV = attend_backward(dO, cache.attended)
    dQ, dK = dot_scores_backward(dS, cache.scores)
    return dQ, dK, dV, sum_to_shape(dS, cache.bias.shape)


def alibi_slopes(num_heads, *, dtype=np.float64):
    """The slope of each head. For H a power of 2 they are a geometric sequence that ends in 2⁻⁸.

    For another H, with n the largest power of 2 below it, the first n slopes are those of n heads,
    the rest every other one of 2n heads, as in the authors' code.

    Returns (H,). Raises ValueError for fewer than one head, TypeError for no integer.
    """
    require_counts(1, num_heads=num_heads)
    require_float_dtype(dtype)
    n = 1 << (int(num_heads).bit_length() - 1)
    exponents = np.concatenate([np.arange(1, n + 1) / n, np.arange(1, 2 * n, 2) / (2 * n)])
    return (2.0 ** (-8.0 * exponents[:num_heads])).astype(dtype)


def alibi_bias(Tq, Tk, slopes, *, offset=0):
    """A bias that falls by a head's slope with every step away from the query, to either side.

    Tq, Tk  number of queries and of keys
    slopes  (H,), from `alibi_slopes`
    offset  the position of query 0 among the keys, as in `causal_mask`

    Returns (H, Tq, Tk), entries ≤ 0.
    """
    require_floats(slopes=slopes)
    require_counts(0, Tq=Tq, Tk=Tk)
    distance = np.abs(np.arange(Tk) - np.arange(Tq)[:, None] - offset)
    return -slopes[:, None, None] * distance.astype(slopes.dtype)
