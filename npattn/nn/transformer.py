"""The Transformer's pairs as objects: blocks, stacks, and the whole. No maths.

`rng` and `dtype` as in layers.py, `kernel` as in attention.py. `attention_weights` are those of the
latest call, before dropout, heads apart; with kernel="tiled" None takes the place of each array:

    EncoderBlock         (..., H, T, T)
    DecoderBlock         DecoderWeights(self_attention, cross_attention)
    TransformerEncoder   one array per block
    TransformerDecoder   one DecoderWeights per block
    Transformer          TransformerWeights(encoder, decoder), of the two above
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.heads import require_heads
from npattn.kernels.options import require_counts
from npattn.models.block import (
    attention_weights, decoder_block, decoder_block_backward, encoder_block,
    encoder_block_backward, init_decoder_block, init_encoder_block,
)
from npattn.models.decoder import decoder, decoder_backward, init_decoder
from npattn.models.encoder import encoder, encoder_backward, init_encoder
from npattn.models.transformer import init_transformer, transformer, transformer_backward
from npattn.nn.layer import Layer


class DecoderWeights(NamedTuple):
    """What the positions of one decoder block look at."""

    self_attention: np.ndarray | None   # (..., H, T, T)
    cross_attention: np.ndarray | None  # (..., H, T, Tm)


class TransformerWeights(NamedTuple):
    """What every position of a Transformer looks at."""

    encoder: tuple[np.ndarray | None, ...]
    decoder: tuple[DecoderWeights, ...]


class _Block(Layer):
    """A block of width D, F in its feed-forward network; options are those of `BlockOptions`."""

    def __init__(self, D, num_heads, F, *, rng=None, dtype=np.float64, **options):
        require_counts(1, D=D, F=F)
        require_heads(num_heads, D)
        forward, backward, init = self._functions
        rng, options = np.random.default_rng(rng), dict(num_heads=num_heads, **options)
        params = init(D, F, rng, dtype=dtype, **options)
        super().__init__(forward, backward, params, rng=rng, **options)


class EncoderBlock(_Block):
    """`encoder_block`: X (..., T, D), mask → (..., T, D)."""

    _functions = encoder_block, encoder_block_backward, init_encoder_block

    def _weights(self, cache):
        return _encoder_weights(cache)[0]


class DecoderBlock(_Block):
    """`decoder_block`: X (..., T, D), memory M (..., Tm, D), mask, memory_mask → (..., T, D).

    The mask of the self-attention is the caller's: `causal_mask(T)`.
    """

    _functions = decoder_block, decoder_block_backward, init_decoder_block

    def _weights(self, cache):
        return _decoder_weights(cache)[0]


class _Stack(Layer):
    """`num_blocks` blocks, each as in `_Block`, and in pre-norm a last norm.

    last_norm  whether there is one; None means in pre-norm
    """

    def __init__(
        self, D, num_heads, F, num_blocks, *, last_norm=None, rng=None, dtype=np.float64, **options
    ):
        require_counts(1, D=D, F=F)
        require_heads(num_heads, D)
        forward, backward, init = self._functions
        rng, options = np.random.default_rng(rng), dict(num_heads=num_heads, **options)
        params = init(D, F, num_blocks, rng, last_norm=last_norm, dtype=dtype, **options)
        super().__init__(forward, backward, params, rng=rng, **options)


class TransformerEncoder(_Stack):
    """`encoder`: X (..., T, D), mask → (..., T, D)."""

    _functions = encoder, encoder_backward, init_encoder

    def _weights(self, cache):
        return _encoder_weights(cache)


class TransformerDecoder(_Stack):
    """`decoder`: X (..., T, D), memory M (..., Tm, D), mask, memory_mask → (..., T, D).

    The mask of the self-attention is the caller's: `causal_mask(T)`.
    """

    _functions = decoder, decoder_backward, init_decoder

    def _weights(self, cache):
        return _decoder_weights(cache)


class Transformer(Layer):
    """`transformer`: source (..., Ts), target (..., Tt), source_mask, target_mask → logits.

    config is a `TransformerConfig`, the kernel included. Ids have no gradient, so backward returns
    None.
    """

    def __init__(self, config, *, rng=None, dtype=np.float64):
        rng = np.random.default_rng(rng)
        params = init_transformer(config, rng, dtype=dtype)
        super().__init__(transformer, transformer_backward, params, rng=rng, config=config)

    def _weights(self, cache):
        return TransformerWeights(_encoder_weights(cache.encode), _decoder_weights(cache.decode))


def _encoder_weights(cache):
    return tuple(weights["self"] for weights in attention_weights(cache))


def _decoder_weights(cache):
    return tuple(DecoderWeights(w["self"], w["cross"]) for w in attention_weights(cache))
