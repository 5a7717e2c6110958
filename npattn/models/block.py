"""The blocks of a Transformer: attention and a feed-forward network, each in a residual.

    encoder   X → residual(self-attention) → residual(feed-forward) → Y
    decoder   X → residual(self-attention) → residual(cross-attention to the memory M)
                → residual(feed-forward) → Y

X and Y are (..., T, D), M (..., Tm, D). A decoder-only model is made of encoder blocks with a
causal mask. Their options are those of `BlockOptions`.
Source: Vaswani et al. 2017, section 3.1, figure 1; d2l 11.7.4, 11.7.5.
"""

from typing import Any, NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.models.config import options_of
from npattn.models.feed_forward import FeedForwardParams, feed_forward, feed_forward_backward
from npattn.models.multihead import (
    MultiHeadParams, cross_attention, cross_attention_backward, self_attention,
    self_attention_backward,
)
from npattn.models.residual import ResidualCache, residual, residual_backward


class EncoderBlockParams(NamedTuple):
    """What encoder_block learns. The gradient has the same type."""

    attention: MultiHeadParams
    attention_norm: Any  # LayerNormParams, or what else `normalize` takes
    feed_forward: FeedForwardParams
    feed_forward_norm: Any


class DecoderBlockParams(NamedTuple):
    """What decoder_block learns. The gradient has the same type."""

    self_attention: MultiHeadParams
    self_attention_norm: Any
    cross_attention: MultiHeadParams
    cross_attention_norm: Any
    feed_forward: FeedForwardParams
    feed_forward_norm: Any


class BlockCache(NamedTuple):
    """What the backward of a block reads, in the order of the forward."""

    self_attention: ResidualCache
    cross_attention: ResidualCache | None
    feed_forward: ResidualCache

    @property
    def attention(self):
        """The self-attention, by its name in an encoder."""
        return self.self_attention

    @property
    def weights(self):
        """The weights P by the name of the attention, as `attention_weights` returns them."""
        found = {"self": self.self_attention, "cross": self.cross_attention}
        return {name: part.sublayer.P for name, part in found.items() if part is not None}


def init_encoder_block(D, F, rng, *, dtype=np.float64, options=None, **changes):
    """A block of width D with a feed-forward network F wide."""
    attention, feed_forward, norm = _inits(D, F, rng, dtype, options_of(options, changes))
    return EncoderBlockParams(attention(), norm(), feed_forward(), norm())


def init_decoder_block(D, F, rng, *, dtype=np.float64, options=None, **changes):
    """A block of width D with a feed-forward network F wide."""
    attention, feed_forward, norm = _inits(D, F, rng, dtype, options_of(options, changes))
    return DecoderBlockParams(attention(), norm(), attention(), norm(), feed_forward(), norm())


def _inits(D, F, rng, dtype, o):
    return (
        lambda: o.init_attention(D, rng, dtype), lambda: o.init_feed_forward(D, F, rng, dtype),
        lambda: o.init_norms(D, dtype),
    )


@quiet
def encoder_block(
    X, params, mask=None, *, past=None, patch=None, rng=None, options=None, **changes
):
    """Every position attends to the others, then each is worked on by itself.

    X       (..., T, D)
    params  EncoderBlockParams
    mask    bool, as in `multihead_attention`; `causal_mask(T)` in a decoder-only model
    past    KeysValues of earlier positions: cache.self_attention.sublayer.present of their call;
            or a layer of a `KVCache`: then there is no backward
    patch   outputs of other heads, as in `multihead_attention`
    rng     Generator for dropout, or None
    options, changes  BlockOptions or a config, and keywords of BlockOptions

    Returns Y (..., T, D) and the cache.
    """
    o = options_of(options, changes)
    H, attended = residual(
        X, params.attention_norm,
        lambda Z: self_attention(
            Z, params.attention, mask, patch=patch, **o.self_attended(rng, past)
        ),
        rng=rng, options=o,
    )
    Y, fed = residual(
        H, params.feed_forward_norm,
        lambda Z: feed_forward(Z, params.feed_forward, **o.fed()), rng=rng, options=o,
    )
    return Y, BlockCache(attended, None, fed)


@quiet
def encoder_block_backward(dY, cache: BlockCache):
    """dX and dparams from dY: the forward's calls, undone in reverse."""
    dH, dfed_norm, dfed = residual_backward(dY, cache.feed_forward, feed_forward_backward)
    dX, dnorm, dattention = residual_backward(dH, cache.self_attention, self_attention_backward)
    return dX, EncoderBlockParams(dattention, dnorm, dfed, dfed_norm)


@quiet
def decoder_block(
    X, M, params, mask=None, memory_mask=None, *, past=(None, None), rng=None, options=None,
    **changes,
):
    """Every position attends to the earlier ones, then to the memory; then each by itself.

    X            (..., T, D)
    M            (..., Tm, D)  the memory: the encoder's output
    params       DecoderBlockParams
    mask         bool, for the self-attention: `causal_mask(T)`, unless nothing is to be learned
    memory_mask  bool, for the cross-attention
    past         KeysValues of earlier positions, and of a part of the memory that M lacks
    rng, options, changes  as in `encoder_block`

    Returns Y (..., T, D) and the cache.
    """
    o = options_of(options, changes)
    if not isinstance(past, tuple | list) or len(past) != 2:
        raise TypeError(f"past must be two: of the self-attention, and of the memory; got {past!r}")
    G, attended = residual(
        X, params.self_attention_norm,
        lambda Z: self_attention(Z, params.self_attention, mask, **o.self_attended(rng, past[0])),
        rng=rng, options=o,
    )
    H, crossed = residual(
        G, params.cross_attention_norm,
        lambda Z: cross_attention(
            Z, M, params.cross_attention, memory_mask, **o.attended(rng, past[1])
        ), rng=rng, options=o,
    )
    Y, fed = residual(
        H, params.feed_forward_norm,
        lambda Z: feed_forward(Z, params.feed_forward, **o.fed()), rng=rng, options=o,
    )
    return Y, BlockCache(attended, crossed, fed)


@quiet
def decoder_block_backward(dY, cache: BlockCache):
    """dX, dM and dparams from dY: the forward's calls, undone in reverse."""
    dH, dfed_norm, dfed = residual_backward(dY, cache.feed_forward, feed_forward_backward)
    dG, dcross_norm, dM, dcross = residual_backward(
        dH, cache.cross_attention, cross_attention_backward
    )
    dX, dself_norm, dself = residual_backward(dG, cache.self_attention, self_attention_backward)
    return dX, dM, DecoderBlockParams(dself, dself_norm, dcross, dcross_norm, dfed, dfed_norm)


def attention_weights(cache):
    """The attention weights P of every block of a model, in the order in which they ran.

    cache  of any model or part of it: encoder, decoder, transformer, vision_transformer, …

    Returns a list with a dict for each block: {"self": P}, in a decoder {"self": P, "cross": P}.
    P is (..., H, Tq, Tk), each row a distribution over keys, before dropout. It is None where the
    tiled kernel made no matrix.
    """
    if isinstance(getattr(cache, "weights", None), dict):
        return [cache.weights]
    parts = cache if isinstance(cache, tuple) else ()
    return [weights for part in parts for weights in attention_weights(part)]
