"""Bidirectional cross-attention between raw inputs: two linear maps, then `co_attention`.

    A, B   = Xa Wa + ba, Xb Wb + bb            (..., Ta, D) and (..., Tb, D)
    Ya, Yb = co_attention(A, B, Xa, Xb)        (..., Ta, Db) and (..., Tb, Da)

Xa (..., Ta, Da) and Xb (..., Tb, Db) may differ in length and in width; the maps bring both to
the width D, where they can be matched. The values are the raw inputs, so a side comes back as
wide as the other side is. The layer is one kernel and two linear maps: no new calculus.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.co_attention import CoAttentionCache, co_attention, co_attention_backward
from npattn.kernels.floats import quiet
from npattn.kernels.linear import LinearCache, LinearParams, init_linear, linear, linear_backward
from npattn.kernels.shapes import require_shapes


class BidirectionalParams(NamedTuple):
    """What bidirectional_attention learns. The gradient has the same type."""

    a: LinearParams  # W (Da, D)
    b: LinearParams  # W (Db, D)


class BidirectionalCache(NamedTuple):
    """What bidirectional_attention_backward reads. `attention.Pa`, `.Pb` are the weights."""

    a: LinearCache
    b: LinearCache
    attention: CoAttentionCache


def init_bidirectional(Da, Db, D, rng, *, bias=True, dtype=np.float64):
    """Two Glorot-uniform maps, Da to D and Db to D."""
    return BidirectionalParams(
        init_linear(Da, D, rng, bias=bias, dtype=dtype),
        init_linear(Db, D, rng, bias=bias, dtype=dtype),
    )


@quiet
def bidirectional_attention(Xa, Xb, params, mask_a=None, mask_b=None, *, scale=None):
    """Each sequence as an average of the other one's inputs.

    Xa      (..., Ta, Da)
    Xb      (..., Tb, Db)
    params  BidirectionalParams
    mask_a, mask_b, scale  as in `co_attention`; scale=1.0 leaves the scores unscaled

    Returns (Ya, Yb), Ya (..., Ta, Db) and Yb (..., Tb, Da), and the cache.
    Raises as `linear` and `co_attention` do.
    """
    require_shapes("Xa ... Ta Da, Xb ... Tb Db, params.a.W Da D, params.b.W Db D",
                   Xa, Xb, params.a.W, params.b.W)
    A, a_cache = linear(Xa, params.a)
    B, b_cache = linear(Xb, params.b)
    Y, attention_cache = co_attention(A, B, Xa, Xb, mask_a, mask_b, scale=scale)
    return Y, BidirectionalCache(a_cache, b_cache, attention_cache)


@quiet
def bidirectional_attention_backward(dY, cache: BidirectionalCache):
    """dXa, dXb and dparams from (dYa, dYb): each input was matched, and was read."""
    dA, dB, dXa_read, dXb_read = co_attention_backward(dY, cache.attention)
    dXa_matched, da = linear_backward(dA, cache.a)
    dXb_matched, db = linear_backward(dB, cache.b)
    return dXa_read + dXa_matched, dXb_read + dXb_matched, BidirectionalParams(da, db)
