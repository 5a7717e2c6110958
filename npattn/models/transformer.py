"""The Transformer: token ids in, logits over the next token out.

    encode   source ids → embedding + positions → encoder → memory M      (..., Ts, D)
    decode   target ids, M → embedding + positions → decoder → linear     (..., Tt, C)

Decoding is always causal, in training and in evaluation alike: position t sees the tokens
0 … t and predicts token t + 1. Padding masks are (..., T), True = a real token.
Source: Vaswani et al. 2017, section 3; d2l 11.7.
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_integers
from npattn.kernels.dropout import DropoutCache, dropout, dropout_backward
from npattn.kernels.embedding import EmbeddingCache, embedding, embedding_backward, normal
from npattn.kernels.floats import quiet
from npattn.kernels.linear import LinearCache, LinearParams, init_linear, linear, linear_backward
from npattn.kernels.masks import causal_mask, combine_masks
from npattn.kernels.packing import Packing, pack, packing_of, unpack, unpack_backward
from npattn.kernels.positions import sinusoidal_positions
from npattn.kernels.shapes import require_mask, require_shapes
from npattn.models.config import TRANSFORMER, Options, model_config, require_sizes
from npattn.models.decoder import DecoderParams, decoder, decoder_backward, init_decoder
from npattn.models.encoder import EncoderParams, encoder, encoder_backward, init_encoder
from npattn.models.stack import StackCache


@model_config(**TRANSFORMER)
class TransformerConfig(Options):
    """The sizes of a Transformer and the options of its blocks: everything that is no array."""

    source_vocabulary: int
    target_vocabulary: int
    width: int = 64                 # D
    hidden: int = 128               # of the feed-forward networks
    encoder_blocks: int = 1
    decoder_blocks: int = 1
    scale_embeddings: bool = False  # times √D, as in d2l and Vaswani et al.
    packed: bool = False            # sources share rows, as in `npattn.kernels.packing`

    def __post_init__(self):
        super().__post_init__()
        vocabularies = "source_vocabulary", "target_vocabulary"
        require_sizes(self, *vocabularies, "width", "encoder_blocks", "decoder_blocks")
        self.require_blocks(self.width)


class EncodeParams(NamedTuple):
    """What encode learns. The gradient has the same type."""

    embedding: np.ndarray  # (source_vocabulary, D)
    stack: EncoderParams


class DecodeParams(NamedTuple):
    """What decode learns. The gradient has the same type."""

    embedding: np.ndarray  # (target_vocabulary, D)
    stack: DecoderParams
    output: LinearParams   # W (D, target_vocabulary)


class TransformerParams(NamedTuple):
    """What transformer learns. The gradient has the same type."""

    encode: EncodeParams
    decode: DecodeParams


class EmbedCache(NamedTuple):
    """What embed_tokens_backward reads."""

    embedding: EmbeddingCache
    factor: float
    dropped: DropoutCache


class EncodeCache(NamedTuple):
    """What encode_backward reads."""

    embed: EmbedCache
    stack: StackCache         # of rows, not of texts, where sources were packed
    packing: Packing | None


class DecodeCache(NamedTuple):
    """What decode_backward reads."""

    embed: EmbedCache
    stack: StackCache
    output: LinearCache


class TransformerCache(NamedTuple):
    """What transformer_backward reads."""

    encode: EncodeCache
    decode: DecodeCache


@quiet
def init_transformer(config, rng, *, dtype=np.float64):
    """Parameters for `config`: embeddings normal with variance 1/D, layers Glorot-uniform."""
    D, F = config.width, config.hidden
    common = dict(options=config, dtype=dtype)

    def table(vocabulary):
        return normal(1.0 / math.sqrt(D), (vocabulary, D), rng, dtype)

    return TransformerParams(
        EncodeParams(
            table(config.source_vocabulary),
            init_encoder(D, F, config.encoder_blocks, rng, **common),
        ),
        DecodeParams(
            table(config.target_vocabulary),
            init_decoder(D, F, config.decoder_blocks, rng, **common),
            init_linear(D, config.target_vocabulary, rng, dtype=dtype),
        ),
    )


@quiet
def embed_tokens(ids, E, *, config, offset=0, positions=None, rng=None):
    """Token embeddings plus positions.

    ids        (..., T)  integers
    E          (vocabulary, D)
    offset     the position of the first id
    positions  (..., T)  integers below T, where ids do not stand one after the other

    Returns X (..., T, D) and the cache.
    """
    require_shapes("ids:int ... T", ids)
    factor = math.sqrt(config.width) if config.scale_embeddings else 1.0
    rows, embedding_cache = embedding(ids, E)
    if positions is not None:
        require_integers(positions=positions)
    table = sinusoidal_positions(ids.shape[-1], E.shape[1], offset=offset, dtype=E.real.dtype)
    X = rows * factor + (table if positions is None else table[positions])
    X, dropped = dropout(X, config.dropout, rng)
    return X, EmbedCache(embedding_cache, factor, dropped)


@quiet
def embed_tokens_backward(dX, cache: EmbedCache):
    """dE from dX; the positions are constants."""
    return embedding_backward(dropout_backward(dX, cache.dropped), cache.embedding) * cache.factor


@quiet
def encode(source, params, source_mask=None, *, config, rng=None):
    """The memory that the decoder attends to.

    source       (..., Ts)  integers
    params       EncodeParams
    source_mask  (..., Ts)  bool, True = a real token

    Returns M (..., Ts, D) and the cache. With config.packed M is 0 where the mask is False, and
    what the cache has of the encoder belongs to rows that several sources share.
    """
    mask, packing, positions = key_mask(source_mask, source.shape), None, None
    if config.packed and mask is not None:
        packing = packing_of(mask[..., 0, :])
        source, mask, positions = pack(source, packing), packing.mask, packing.positions
    X, embed_cache = embed_tokens(
        source, params.embedding, config=config, positions=positions, rng=rng
    )
    M, stack = encoder(X, params.stack, mask, options=config, rng=rng)
    return M if packing is None else unpack(M, packing), EncodeCache(embed_cache, stack, packing)


@quiet
def encode_backward(dM, cache: EncodeCache):
    """dparams from dM."""
    if cache.packing is not None:
        dM = unpack_backward(dM, cache.packing)
    dX, dstack = encoder_backward(dM, cache.stack)
    return EncodeParams(embed_tokens_backward(dX, cache.embed), dstack)


@quiet
def decode(target, M, params, target_mask=None, source_mask=None, *, config, rng=None):
    """Logits for the token after each target token, given the memory.

    target       (..., Tt)     integers, starting with the token that begins a sentence
    M            (..., Ts, D)  from `encode`
    params       DecodeParams
    target_mask  (..., Tt)     bool, True = a real token
    source_mask  (..., Ts)     bool, likewise

    Returns logits (..., Tt, target_vocabulary) and the cache.
    """
    require_shapes("M ... Ts D", M)
    X, embed_cache = embed_tokens(target, params.embedding, config=config, rng=rng)
    mask = combine_masks(causal_mask(target.shape[-1]), key_mask(target_mask, target.shape))
    memory_mask = key_mask(source_mask, M.shape[:-1])
    Y, stack = decoder(X, M, params.stack, mask, memory_mask, options=config, rng=rng)
    logits, output = linear(Y, params.output)
    return logits, DecodeCache(embed_cache, stack, output)


@quiet
def decode_backward(dlogits, cache: DecodeCache):
    """dM and dparams from dlogits."""
    dY, doutput = linear_backward(dlogits, cache.output)
    dX, dM, dstack = decoder_backward(dY, cache.stack)
    return dM, DecodeParams(embed_tokens_backward(dX, cache.embed), dstack, doutput)


@quiet
def transformer(source, target, params, source_mask=None, target_mask=None, *, config, rng=None):
    """Logits for the token after each target token, given the source.

    source, target            (..., Ts) and (..., Tt), integers
    params                    TransformerParams
    source_mask, target_mask  (..., Ts) and (..., Tt), bool, True = a real token
    config                    TransformerConfig
    rng                       Generator for dropout, or None

    Returns logits (..., Tt, target_vocabulary) and the cache.
    """
    M, encode_cache = encode(source, params.encode, source_mask, config=config, rng=rng)
    logits, decode_cache = decode(
        target, M, params.decode, target_mask, source_mask, config=config, rng=rng
    )
    return logits, TransformerCache(encode_cache, decode_cache)


@quiet
def transformer_backward(dlogits, cache: TransformerCache):
    """dparams from dlogits: decode undone, then encode."""
    dM, ddecode = decode_backward(dlogits, cache.decode)
    return TransformerParams(encode_backward(dM, cache.encode), ddecode)


def key_mask(token_mask, shape):
    """A padding mask for tokens (..., T) as one over keys (..., 1, T), the same for every query.

    Raises TypeError if it is no boolean array, ValueError if it does not fit tokens of that shape.
    """
    if token_mask is None:
        return None
    return require_mask(token_mask, shape, "the tokens")[..., None, :]
