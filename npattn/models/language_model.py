"""A decoder-only language model and its backward: GPT-2, Llama, Qwen and Gemma are configurations.

    X = E[tokens] · embedding_scale (+ positions)     (..., T, width)
    X → block → … → block → norm → X                  each a page language_block
    logits = X Wᵀ                                     (..., T, vocabulary)   W = E where tied

logits[t] predict token t + 1. Where it is tied the embedding is used twice: its gradient is a sum.
Source: Radford et al. 2019 (GPT-2), section 2.3; Touvron et al. 2023, "LLaMA", section 2.2; Press
and Wolf 2017, "Using the Output Embedding to Improve Language Models", for the tied output.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from npattn.kernels.embedding import EmbeddingCache, embedding, embedding_backward
from npattn.kernels.layer_norm import init_layer_norm
from npattn.kernels.linear import LinearParams
from npattn.kernels.masks import causal_mask
from npattn.kernels.positional_masks import window_mask
from npattn.kernels.products import turned_like
from npattn.kernels.qk_norm import init_qk_norm
from npattn.kernels.rms_norm import init_rms_norm
from npattn.kernels.rotary_speeds import linear_scaling, llama3_scaling, rotary_speeds
from npattn.kernels.rotary_table import rotary_table
from npattn.models.gated_feed_forward import GatedParams
from npattn.models.grouped_attention import GroupedAttentionParams
from npattn.models.language_block import (
    LanguageBlockCache, LanguageBlockParams, language_block, language_block_backward, normed,
    normed_backward,
)
from npattn.models.projection import FrozenParams, project, project_backward


@dataclass(frozen=True)
class LanguageModelConfig:
    """What is no parameter. Whether there are biases, gates or QK norms, the parameters say."""

    vocabulary: int
    width: int
    num_blocks: int
    num_heads: int
    num_kv_heads: int
    head_width: int
    hidden: int                           # width of the feed-forward networks
    context: int                          # the longest text that the model was made for
    activation: str = "swiglu"
    eps: float = 1e-6
    rotary_base: float | None = 10000.0   # None: no rotary positions
    # ("linear", f), ("llama3", f, low, high, length) or ("factors", one for each pair)
    rotary_scaling: tuple | None = None
    windows: tuple | None = None          # how many keys each block sees; None: all
    local_rotary_base: float | None = None  # of the blocks with a window, where it differs
    scale: float | None = None            # factor on the scores; None means 1/√head_width
    embedding_scale: float = 1.0

    def speeds(self, block):
        """Radians per position of each pair of columns in a block; None if nothing turns."""
        if self.rotary_base is None:
            return None
        if self.local_rotary_base and self.window(block):
            return rotary_speeds(self.head_width, base=self.local_rotary_base)
        speeds = rotary_speeds(self.head_width, base=self.rotary_base)
        kind, *numbers = self.rotary_scaling or ("none",)
        if kind == "linear":
            return linear_scaling(speeds, *numbers)
        if kind == "llama3":
            factor, low, high, length = numbers
            return llama3_scaling(speeds, factor, low=low, high=high, length=length)
        return speeds / np.array(numbers) if kind == "factors" else speeds

    def window(self, block):
        """How many keys a query of this block sees, itself included; None is all."""
        return self.windows[block] if self.windows else None


class LanguageModelParams(NamedTuple):
    """What language_model learns. The gradient has the same type."""

    embedding: np.ndarray                     # (vocabulary, width)
    positions: np.ndarray | None              # (context, width), learned, as in GPT-2
    blocks: tuple[LanguageBlockParams, ...]
    norm: Any
    output: tuple | None                      # W (width, vocabulary); None is the embedding


class LanguageModelCache(NamedTuple):
    """What language_model_backward reads."""

    embedding: EmbeddingCache
    positions: np.ndarray | None
    blocks: tuple[LanguageBlockCache, ...]
    norm: Any
    output: Any
    tied: bool
    embedding_scale: float
    where: np.ndarray | None


def init_language_model(
    config, rng, *, gated=True, bias=False, qk_norm=False, rms=True, after=False, tied=True,
    dtype=np.float64,
):  # fmt: skip
    """Random parameters: normal with deviation 0.02, norms that only normalize, as GPT-2 starts.

    gated, bias, qk_norm, rms, after, tied  which parts there are: gates, biases of all layers,
        norms of queries and keys, RMS or layer norms, norms behind the sublayers, a tied output
    """
    D, F, Dh = config.width, config.hidden, config.head_width

    def normal(*shape):
        return (0.02 * rng.standard_normal(shape)).astype(dtype)

    def layer(Din, Dout):
        return LinearParams(normal(Din, Dout), np.zeros(Dout, dtype) if bias else None)

    def norm():
        return init_rms_norm(D, dtype=dtype) if rms else init_layer_norm(D, dtype=dtype)

    def block():
        attention = GroupedAttentionParams(
            layer(D, config.num_heads * Dh), layer(D, config.num_kv_heads * Dh),
            layer(D, config.num_kv_heads * Dh), layer(config.num_heads * Dh, D),
            init_qk_norm(Dh, dtype=dtype) if qk_norm else None,
        )
        network = GatedParams(layer(D, F) if gated else None, layer(D, F), layer(F, D))
        return LanguageBlockParams(
            norm(), attention, norm() if after else None, norm(), network, norm() if after else None
        )

    return LanguageModelParams(
        normal(config.vocabulary, D),
        normal(config.context, D) if config.rotary_base is None else None,
        tuple(block() for _ in range(config.num_blocks)), norm(),
        None if tied else LinearParams(normal(D, config.vocabulary), None),
    )


def language_model(
    tokens, params, mask=None, *, config, where=None, heads_off=(), patch=None, frozen=False
):
    """The logits of the next token at every position.

    tokens     (..., T)  integers
    params     LanguageModelParams
    mask       bool (T, T) or broadcastable to (..., T, T): what may be attended to besides the
               causal order, True = may attend; to hide a token from later ones, for instance
    config     LanguageModelConfig
    where      (..., T) bool, the positions whose logits are wanted: they are then (N, vocabulary)
    heads_off  pairs (block, head): their output is replaced by 0
    patch      {(block, head): (..., T, head_width)}: their output is replaced by this one, which
               `head_outputs` returned for another text
    frozen     whether embedding and output shall not learn: their gradient is None

    Returns logits (..., T, vocabulary) and the cache.
    Raises ValueError for a token outside the vocabulary or a text longer than learned positions.
    """
    X, embedded = embed_text(tokens, params, config=config)
    X = turned_like(X, params.embedding.T)
    caches, tables = [], {}
    for i, block in enumerate(params.blocks):
        options = block_options(config, i, tokens.shape[-1], X.real.dtype, tables=tables)
        off, replaced = _of_block(i, heads_off, patch, len(params.blocks))
        allowed = options.pop("mask") if mask is None else options.pop("mask") & mask
        if allowed.ndim > 2:
            allowed = allowed[..., None, None, :, :]
        X, cache = language_block(X, block, allowed, off=off, patch=replaced, **options)
        caches.append(cache)
    X, norm = normed(X, params.norm, config.eps)
    logits, output = project(X if where is None else X[where], output_params(params, frozen))
    return logits, LanguageModelCache(
        embedded, params.positions, tuple(caches), norm, output, params.output is None,
        config.embedding_scale, where,
    )


def language_model_backward(dlogits, cache):
    """dparams from dlogits (..., T, vocabulary): the forward's calls, undone in reverse."""
    dX, dparams = _stack_backward(dlogits, cache)
    if dparams.output is not None and dparams.output.W is None:  # frozen
        return dparams._replace(output=None if cache.tied else dparams.output)
    dE = embedding_backward(dX * dX.dtype.type(cache.embedding_scale), cache.embedding)
    dpositions = None
    if cache.positions is not None:
        dpositions = np.zeros(cache.positions.shape, dX.dtype)
        dpositions[:dX.shape[-2]] = dX.reshape(-1, *dX.shape[-2:]).sum(axis=0)
    dparams = dparams._replace(embedding=dE, positions=dpositions)
    if cache.tied:
        return dparams._replace(embedding=dE + dparams.output.W.T, output=None)
    return dparams


def embedded_gradient(dlogits, cache):
    """dX (..., T, width), the gradient of what went into the first block: which tokens mattered."""
    return _stack_backward(dlogits, cache)[0]


def _stack_backward(dlogits, cache):
    """dX of the first block, and dparams but for embedding and positions."""
    dX, doutput = project_backward(dlogits, cache.output)
    if cache.where is not None:
        dlast, dX = dX, np.zeros((*cache.where.shape, dX.shape[-1]), dX.dtype)
        dX[cache.where] = dlast
    dX, dnorm = normed_backward(dX, cache.norm)
    dblocks = []
    for block in reversed(cache.blocks):
        dX, dblock = language_block_backward(dX, block)
        dblocks.append(dblock)
    return dX, LanguageModelParams(None, None, tuple(reversed(dblocks)), dnorm, doutput)


def embed_text(tokens, params, *, config, offset=0):
    """What goes into the first block, (..., T, width), and the embedding's cache."""
    X, cache = embedding(tokens, params.embedding)
    if config.embedding_scale != 1.0:
        X = X * X.real.dtype.type(config.embedding_scale)
    if params.positions is not None:
        T = tokens.shape[-1]
        if offset + T > len(params.positions):
            raise ValueError(f"the text has {offset + T} tokens, the model {len(params.positions)} "
                             "positions; give it a shorter one")
        X = X + params.positions[offset:offset + T]
    return X, cache


def block_options(config, block, T, dtype, offset=0, tables=None, causal=True):
    """What `language_block` is told in a block, for positions offset … offset + T − 1.

    tables  a dict that keeps the rotary tables from one block to the next
    causal  whether a mask is among the options
    """
    window = config.window(block)
    speeds = None if config.rotary_base is None else bool(window and config.local_rotary_base)
    tables = {} if tables is None else tables
    if speeds is not None and speeds not in tables:
        tables[speeds] = rotary_table(
            np.arange(offset, offset + T), config.speeds(block), dtype=dtype
        )
    options = dict(
        num_heads=config.num_heads, num_kv_heads=config.num_kv_heads, table=tables.get(speeds),
        scale=config.scale, eps=config.eps, activation=config.activation,
    )
    if causal:
        mask = causal_mask(T) if window is None else window_mask(T, left=window - 1, right=0)
        options["mask"] = mask
    return options


def output_params(params, frozen=False):
    """The map to the logits: its own, or the embedding, turned."""
    layer = params.output or LinearParams(params.embedding.T, None)
    return FrozenParams(*layer) if frozen else layer


def attention_weights(cache):
    """The weights of all heads: (blocks, ..., H, T, T), from the cache of `language_model`."""
    layers = [block.attention.sublayer.attention.P for block in cache.blocks]
    return np.stack([P.reshape(*P.shape[:-4], -1, *P.shape[-2:]) for P in layers])


def head_outputs(cache, block):
    """What each head of a block returned, (..., H, T, head_width): for `patch` in another run."""
    attended = cache.blocks[block].attention.sublayer.attention
    O = attended.P @ attended.V
    return O.reshape(*O.shape[:-4], -1, *O.shape[-2:])


def _of_block(i, heads_off, patch, count):
    """The heads of block i that are off, and the patches of the others."""
    for block, _ in (*heads_off, *(patch or ())):
        if not 0 <= block < count:
            raise ValueError(f"there is no block {block}: the model has blocks 0 … {count - 1}")
    off = [head for block, head in heads_off if block == i]
    return off, {head: O for (block, head), O in (patch or {}).items() if block == i}
