"""Multi-head attention and its backward: kernels composed, no new calculus.

    Q, K, V = split(Xq Wq + bq), split(Xk Wk + bk), split(Xv Wv + bv)     (..., H, T, D/H)
    O = attention(Q, K, V)                                                (..., H, Tq, D/H)
    Y = merge(O) Wo + bo                                                  (..., Tq, Do)

Self-attention passes one X three times, so its gradient is the sum dXq + dXk + dXv;
cross-attention passes the decoder's X once and the encoder's output twice.
Source: Vaswani et al. 2017, section 3.2.2; d2l 11.5.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.attention import AttentionCache
from npattn.kernels.heads import (
    merge_heads, merge_heads_backward, split_heads, split_heads_backward,
)
from npattn.kernels.linear import (
    LinearCache, LinearParams, init_linear, linear, linear_backward,
)
from npattn.kernels.tiled import TiledCache
from npattn.models.kernel_choice import chosen_attention, chosen_attention_backward


class MultiHeadParams(NamedTuple):
    """What multihead_attention learns. The gradient has the same type."""

    query: LinearParams          # W (Dq, D)
    key: LinearParams            # W (Dk, D)
    value: LinearParams          # W (Dv, D)
    output: LinearParams | None  # W (D, Do), or None to return the merged heads


class MultiHeadCache(NamedTuple):
    """What multihead_attention_backward reads. `attention.P` (..., H, Tq, Tk) is what a head grid
    draws; a TiledCache has none.
    """

    query: LinearCache
    key: LinearCache
    value: LinearCache
    attention: AttentionCache | TiledCache
    output: LinearCache | None


def init_multihead(D, rng, *, Dq=None, Dk=None, Dv=None, bias=True, output=True, dtype=np.float64):
    """Parameters of width D for sources Dq, Dk, Dv wide (D each unless given), Glorot-uniform."""
    def projection(Din):
        return init_linear(Din or D, D, rng, bias=bias, dtype=dtype)

    return MultiHeadParams(
        projection(Dq), projection(Dk), projection(Dv), projection(D) if output else None
    )


def multihead_attention(
    Xq, Xk, Xv, params, mask=None, *,
    num_heads, kernel="attention", scale=None, dropout=0.0, rng=None,
):
    """`num_heads` attentions side by side, each on its own share of the projected columns.

    Xq       (..., Tq, Dq)  where queries come from
    Xk       (..., Tk, Dk)  where keys come from
    Xv       (..., Tk, Dv)  where values come from
    params   MultiHeadParams; biases and the output projection may be None
    mask     bool, broadcastable to (..., Tq, Tk), the same for every head; or with a head
             axis, broadcastable to (..., H, Tq, Tk): then it has one axis more than Xq
    kernel   "attention"; "tiled", without weights in the cache; or "auto", as in
             `chosen_attention`
    scale    factor on the scores; None means 1/√(D/H), by the width of one head
    dropout  share of the weights that is dropped while rng, a Generator, is given

    Returns Y (..., Tq, Do) and the cache.
    Raises ValueError if shapes disagree, if num_heads does not divide the width, or for an unknown
    kernel.
    """
    query, query_cache = linear(Xq, params.query)
    key, key_cache = linear(Xk, params.key)
    value, value_cache = linear(Xv, params.value)
    O, attention_cache = chosen_attention(
        split_heads(query, num_heads),
        split_heads(key, num_heads),
        split_heads(value, num_heads),
        _with_head_axis(mask, Xq.ndim),
        kernel=kernel,
        scale=scale,
        dropout=dropout,
        rng=rng,
    )
    Y, output_cache = merge_heads(O), None
    if params.output is not None:
        Y, output_cache = linear(Y, params.output)
    return Y, MultiHeadCache(query_cache, key_cache, value_cache, attention_cache, output_cache)


def multihead_attention_backward(dY, cache):
    """dXq, dXk, dXv and dparams from dY (..., Tq, Do): the forward's calls, undone in reverse."""
    dmerged, doutput = dY, None
    if cache.output is not None:
        dmerged, doutput = linear_backward(dY, cache.output)
    num_heads = cache.attention.Q.shape[-3]
    dO = merge_heads_backward(dmerged, num_heads)
    dQ, dK, dV = chosen_attention_backward(dO, cache.attention)
    dXq, dquery = linear_backward(split_heads_backward(dQ), cache.query)
    dXk, dkey = linear_backward(split_heads_backward(dK), cache.key)
    dXv, dvalue = linear_backward(split_heads_backward(dV), cache.value)
    return dXq, dXk, dXv, MultiHeadParams(dquery, dkey, dvalue, doutput)


def self_attention(X, params, mask=None, **options):
    """X (..., T, D) attends to itself: Y (..., T, Do) and the cache of `multihead_attention`."""
    return multihead_attention(X, X, X, params, mask, **options)


def self_attention_backward(dY, cache):
    """dX and dparams from dY: X was queries, keys and values."""
    dXq, dXk, dXv, dparams = multihead_attention_backward(dY, cache)
    return dXq + dXk + dXv, dparams


def cross_attention(X, M, params, mask=None, **options):
    """X (..., T, D) attends to M (..., Tm, Dm): Y (..., T, Do) and the cache likewise."""
    return multihead_attention(X, M, M, params, mask, **options)


def cross_attention_backward(dY, cache):
    """dX, dM and dparams from dY: M was keys and values."""
    dX, dMk, dMv, dparams = multihead_attention_backward(dY, cache)
    return dX, dMk + dMv, dparams


def _with_head_axis(mask, ndim):
    """A mask without a head axis gets one of length 1, so that it serves every head."""
    if not isinstance(mask, np.ndarray) or mask.ndim > ndim:
        return mask
    return np.expand_dims(mask, -3) if mask.ndim >= 3 else mask
