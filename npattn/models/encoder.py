"""The encoder: a stack of blocks, in which every position hears every other.

    block   X → residual(self-attention) → residual(feed-forward) → Y
    stack   X → block → … → block → Y      in pre-norm with a last layer norm

X and Y are (..., T, D). `residual` is the page residual.py, in post-norm or pre-norm order; the
second of the two is feed_forward_sublayer.py, since the decoder ends in it too.
Kernels composed, no new calculus: where a value fans out, its gradients are added, in sight.
Source: Vaswani et al. 2017, section 3.1, figure 1 left; d2l 11.7.4.
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


class EncoderBlockParams(NamedTuple):
    """What encoder_block learns. The gradient has the same type."""

    attention: MultiHeadParams
    attention_norm: LayerNormParams
    feed_forward: FeedForwardParams
    feed_forward_norm: LayerNormParams


class EncoderBlockCache(NamedTuple):
    """What encoder_block_backward reads, in the order of the forward."""

    enter_attention: EnterCache
    attention: MultiHeadCache
    leave_attention: LeaveCache
    feed_forward: FeedForwardSublayerCache


def init_encoder_block(D, F, rng, *, bias=True, dtype=np.float64):
    """A block of width D with a feed-forward network F wide. `bias` is that of the attention."""
    return EncoderBlockParams(
        init_multihead(D, rng, bias=bias, dtype=dtype),
        init_layer_norm(D, dtype=dtype),
        init_feed_forward(D, F, rng, dtype=dtype),
        init_layer_norm(D, dtype=dtype),
    )


def encoder_block(
    X, params, mask=None, *,
    num_heads, kernel="attention", norm="post", activation="relu", dropout=0.0, rng=None,
):
    """Every position hears the others, then thinks for itself.

    X           (..., T, D)
    params      EncoderBlockParams
    mask        bool, as in `multihead_attention`
    kernel      "attention", "tiled" or "auto", likewise
    norm        "post" or "pre"
    activation  of the feed-forward network: "relu", "gelu" or "gelu_tanh"
    dropout     share dropped of the weights and of each sublayer's output, while rng is given

    Returns Y (..., T, D) and the cache.
    """
    heads = dict(num_heads=num_heads, kernel=kernel, dropout=dropout, rng=rng)
    Z, enter = enter_residual(X, params.attention_norm, norm=norm)
    A, attention = multihead_attention(Z, Z, Z, params.attention, mask, **heads)
    H, leave = leave_residual(X, A, params.attention_norm, norm=norm, dropout_rate=dropout, rng=rng)

    Y, feed = feed_forward_sublayer(
        H, params.feed_forward, params.feed_forward_norm,
        norm=norm, activation=activation, dropout=dropout, rng=rng,
    )
    return Y, EncoderBlockCache(enter, attention, leave, feed)


def encoder_block_backward(dY, cache):
    """dX and dparams from dY: the forward's calls, undone in reverse."""
    dH, dfeed, dfeed_norm = feed_forward_sublayer_backward(dY, cache.feed_forward)

    dX, dA, dnorm_out = leave_residual_backward(dH, cache.leave_attention)
    dZq, dZk, dZv, dattention = multihead_attention_backward(dA, cache.attention)
    dX_in, dnorm_in = enter_residual_backward(dZq + dZk + dZv, cache.enter_attention)
    dX = dX + dX_in
    dattention_norm = tree_map(np.add, dnorm_in, dnorm_out)
    return dX, EncoderBlockParams(dattention, dattention_norm, dfeed, dfeed_norm)


class EncoderParams(NamedTuple):
    """What encoder learns. The gradient has the same type."""

    blocks: tuple[EncoderBlockParams, ...]
    norm: LayerNormParams | None  # after the last block: in pre-norm, else None


class EncoderCache(NamedTuple):
    """What encoder_backward reads."""

    blocks: tuple[EncoderBlockCache, ...]
    norm: LayerNormCache | None


def init_encoder(D, F, num_blocks, rng, *, norm="post", bias=True, dtype=np.float64):
    """`num_blocks` blocks, each as `init_encoder_block` makes it."""
    blocks = tuple(
        init_encoder_block(D, F, rng, bias=bias, dtype=dtype) for _ in range(num_blocks)
    )
    return EncoderParams(blocks, init_layer_norm(D, dtype=dtype) if is_pre(norm) else None)


def encoder(X, params, mask=None, *, norm="post", **options):
    """The blocks one after the other, then the last norm where there is one.

    X        (..., T, D)
    params   EncoderParams
    mask     bool, as in `multihead_attention`, the same in every block
    norm     "post" or "pre", as the parameters were made for
    options  num_heads, kernel, activation, dropout, rng: as in `encoder_block`

    Returns Y (..., T, D) and the cache; `cache.blocks[i].attention.attention.P` are weights.
    Raises ValueError if norm is "pre" and params.norm None.
    """
    require_last_norm(params.norm, norm)
    Y, caches = X, []
    for block in params.blocks:
        Y, cache = encoder_block(Y, block, mask, norm=norm, **options)
        caches.append(cache)
    norm_cache = None
    if params.norm is not None:
        Y, norm_cache = layer_norm(Y, params.norm)
    return Y, EncoderCache(tuple(caches), norm_cache)


def encoder_backward(dY, cache):
    """dX and dparams from dY: the blocks in reverse."""
    dX, dnorm, dblocks = dY, None, []
    if cache.norm is not None:
        dX, dnorm = layer_norm_backward(dX, cache.norm)
    for block in reversed(cache.blocks):
        dX, dblock = encoder_block_backward(dX, block)
        dblocks.append(dblock)
    return dX, EncoderParams(tuple(reversed(dblocks)), dnorm)
