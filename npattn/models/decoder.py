"""The decoder: a stack of blocks, in which every position hears the earlier ones and the memory.

    block   X → residual(causal self-attention) → residual(cross-attention to the memory M)
              → residual(feed-forward) → Y
    stack   X, M → block → … → block → Y      in pre-norm with a last layer norm

X and Y are (..., T, D); the memory M (..., Tm, D) is the encoder's output, the same for every
block, so its gradient is a sum over the blocks. The last of the three residuals is the page
feed_forward_sublayer.py.
Source: Vaswani et al. 2017, section 3.1, figure 1 right; d2l 11.7.5.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.layer_norm import (
    LayerNormCache,
    LayerNormParams,
    init_layer_norm,
    layer_norm,
    layer_norm_backward,
)
from npattn.models.feed_forward import FeedForwardParams, init_feed_forward
from npattn.models.feed_forward_sublayer import (
    FeedForwardSublayerCache,
    feed_forward_sublayer,
    feed_forward_sublayer_backward,
)
from npattn.models.multihead import (
    MultiHeadCache,
    MultiHeadParams,
    init_multihead,
    multihead_attention,
    multihead_attention_backward,
)
from npattn.models.residual import (
    EnterCache,
    LeaveCache,
    enter_residual,
    enter_residual_backward,
    is_pre,
    leave_residual,
    leave_residual_backward,
    require_last_norm,
)
from npattn.trees import tree_map


class DecoderBlockParams(NamedTuple):
    """What decoder_block learns. The gradient has the same type."""

    self_attention: MultiHeadParams
    self_attention_norm: LayerNormParams
    cross_attention: MultiHeadParams
    cross_attention_norm: LayerNormParams
    feed_forward: FeedForwardParams
    feed_forward_norm: LayerNormParams


class DecoderBlockCache(NamedTuple):
    """What decoder_block_backward reads, in the order of the forward."""

    enter_self: EnterCache
    self_attention: MultiHeadCache
    leave_self: LeaveCache
    enter_cross: EnterCache
    cross_attention: MultiHeadCache
    leave_cross: LeaveCache
    feed_forward: FeedForwardSublayerCache


def init_decoder_block(D, F, rng, *, bias=True, dtype=np.float64):
    """A block of width D with a feed-forward network F wide. `bias` is that of the attentions."""
    return DecoderBlockParams(
        init_multihead(D, rng, bias=bias, dtype=dtype),
        init_layer_norm(D, dtype=dtype),
        init_multihead(D, rng, bias=bias, dtype=dtype),
        init_layer_norm(D, dtype=dtype),
        init_feed_forward(D, F, rng, dtype=dtype),
        init_layer_norm(D, dtype=dtype),
    )


def decoder_block(
    X, M, params, mask=None, memory_mask=None, *,
    num_heads, kernel="attention", norm="post", activation="relu", dropout=0.0, rng=None,
):
    """Every position hears the earlier ones, then the memory, then thinks for itself.

    X            (..., T, D)
    M            (..., Tm, D)  the memory: the encoder's output
    params       DecoderBlockParams
    mask         bool, for the self-attention: `causal_mask(T)`, unless nothing is to be learned
    memory_mask  bool, for the cross-attention
    kernel, norm, activation, dropout, rng  as in `encoder_block`

    Returns Y (..., T, D) and the cache.
    """
    options = dict(norm=norm, dropout_rate=dropout, rng=rng)
    heads = dict(num_heads=num_heads, kernel=kernel, dropout=dropout, rng=rng)
    Z, enter_1 = enter_residual(X, params.self_attention_norm, norm=norm)
    A, self_attention = multihead_attention(Z, Z, Z, params.self_attention, mask, **heads)
    G, leave_1 = leave_residual(X, A, params.self_attention_norm, **options)

    Z, enter_2 = enter_residual(G, params.cross_attention_norm, norm=norm)
    C, cross_attention = multihead_attention(
        Z, M, M, params.cross_attention, memory_mask, **heads
    )
    H, leave_2 = leave_residual(G, C, params.cross_attention_norm, **options)

    Y, feed = feed_forward_sublayer(
        H, params.feed_forward, params.feed_forward_norm,
        norm=norm, activation=activation, dropout=dropout, rng=rng,
    )
    return Y, DecoderBlockCache(
        enter_1, self_attention, leave_1, enter_2, cross_attention, leave_2, feed
    )


def decoder_block_backward(dY, cache):
    """dX, dM and dparams from dY: the forward's calls, undone in reverse."""
    dH, dfeed, dfeed_norm = feed_forward_sublayer_backward(dY, cache.feed_forward)

    dG, dC, dnorm_out = leave_residual_backward(dH, cache.leave_cross)
    dZ, dMk, dMv, dcross = multihead_attention_backward(dC, cache.cross_attention)
    dG_in, dnorm_in = enter_residual_backward(dZ, cache.enter_cross)
    dG = dG + dG_in
    dcross_norm = tree_map(np.add, dnorm_in, dnorm_out)

    dX, dA, dnorm_out = leave_residual_backward(dG, cache.leave_self)
    dZq, dZk, dZv, dself = multihead_attention_backward(dA, cache.self_attention)
    dX_in, dnorm_in = enter_residual_backward(dZq + dZk + dZv, cache.enter_self)
    dX = dX + dX_in
    dself_norm = tree_map(np.add, dnorm_in, dnorm_out)
    return dX, dMk + dMv, DecoderBlockParams(
        dself, dself_norm, dcross, dcross_norm, dfeed, dfeed_norm
    )


class DecoderParams(NamedTuple):
    """What decoder learns. The gradient has the same type."""

    blocks: tuple[DecoderBlockParams, ...]
    norm: LayerNormParams | None  # after the last block: in pre-norm, else None


class DecoderCache(NamedTuple):
    """What decoder_backward reads."""

    blocks: tuple[DecoderBlockCache, ...]
    norm: LayerNormCache | None


def init_decoder(D, F, num_blocks, rng, *, norm="post", bias=True, dtype=np.float64):
    """`num_blocks` blocks, each as `init_decoder_block` makes it."""
    blocks = tuple(
        init_decoder_block(D, F, rng, bias=bias, dtype=dtype) for _ in range(num_blocks)
    )
    return DecoderParams(blocks, init_layer_norm(D, dtype=dtype) if is_pre(norm) else None)


def decoder(X, M, params, mask=None, memory_mask=None, *, norm="post", **options):
    """The blocks one after the other, each beside the memory, then the last norm.

    X            (..., T, D)
    M            (..., Tm, D)
    params       DecoderParams
    mask, memory_mask  as in `decoder_block`, the same in every block
    norm         "post" or "pre", as the parameters were made for
    options      num_heads, kernel, activation, dropout, rng: as in `decoder_block`

    Returns Y (..., T, D) and the cache; `cache.blocks[i].cross_attention.attention.P` are weights.
    Raises ValueError if norm is "pre" and params.norm None.
    """
    require_last_norm(params.norm, norm)
    Y, caches = X, []
    for block in params.blocks:
        Y, cache = decoder_block(Y, M, block, mask, memory_mask, norm=norm, **options)
        caches.append(cache)
    norm_cache = None
    if params.norm is not None:
        Y, norm_cache = layer_norm(Y, params.norm)
    return Y, DecoderCache(tuple(caches), norm_cache)


def decoder_backward(dY, cache):
    """dX, dM and dparams from dY: the blocks in reverse, each adding its share to dM."""
    dX, dM, dnorm, dblocks = dY, 0.0, None, []
    if cache.norm is not None:
        dX, dnorm = layer_norm_backward(dX, cache.norm)
    for block in reversed(cache.blocks):
        dX, dM_block, dblock = decoder_block_backward(dX, block)
        dM = dM + dM_block
        dblocks.append(dblock)
    return dX, dM, DecoderParams(tuple(reversed(dblocks)), dnorm)
