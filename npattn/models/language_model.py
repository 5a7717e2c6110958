"""A decoder-only language model and its backward: GPT-2, Llama, Qwen and Gemma are configurations.

    X = E[tokens] · embedding_scale (+ positions)     (..., T, width)
    X → encoder_block → … → encoder_block → norm      with a causal mask, the page block.py
    logits = X Wᵀ                                     (..., T, vocabulary)   W = E where tied

logits[t] predict token t + 1. Where it is tied the embedding is used twice: its gradient is a sum.
Source: Radford et al. 2019 (GPT-2), section 2.3; Touvron et al. 2023, "LLaMA", section 2.2; Press
and Wolf 2017, "Using the Output Embedding to Improve Language Models", for the tied output.
"""

from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from npattn.kernels.embedding import EmbeddingCache, embedding, embedding_backward, normal
from npattn.kernels.floats import quiet
from npattn.kernels.linear import LinearParams
from npattn.kernels.masks import causal_mask, combine_masks
from npattn.kernels.options import require_flag, require_real
from npattn.kernels.products import turned_like
from npattn.kernels.shapes import require_shapes
from npattn.models.block import EncoderBlockParams, encoder_block, encoder_block_backward
from npattn.models.config import LLAMA, Options, model_config, require_sizes
from npattn.models.encoder import init_encoder
from npattn.models.head_extras import Rotary, require_rotary
from npattn.models.kernel_choice import window_sides
from npattn.models.projection import FrozenParams, project, project_backward
from npattn.models.stack import StackCache, StackParams, stack, stack_backward


@model_config(**LLAMA)
class LanguageModelConfig(Options):
    """The sizes of a language_model and the options of its blocks: all that is no array."""

    vocabulary: int
    width: int
    num_blocks: int
    hidden: int                          # width of the feed-forward networks
    context: int                         # the longest text that the model was made for
    windows: tuple | None = None         # how many keys each block sees; None: all
    local_rotary: str | Rotary | None = None  # of the blocks with a window, where it differs
    embedding_scale: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        require_sizes(self, "vocabulary", "width", "context")
        require_sizes(self, "num_blocks", least=0)
        self.require_blocks(self.width)
        require_rotary(self.local_rotary)
        require_real(embedding_scale=self.embedding_scale)
        self._require_windows()

    def _require_windows(self):
        if self.windows is None:
            return
        if not isinstance(self.windows, tuple | list) or len(self.windows) != self.num_blocks:
            raise ValueError(f"windows must be one for each of {self.num_blocks} blocks, "
                             f"got {self.windows}")
        for window in self.windows:
            if window is not None:
                window_sides(window)

    @cached_property
    def blocks(self):
        """The options of each block: where it has a window, its own."""
        if self.windows is None:
            return (self,) * self.num_blocks
        local = dict(rotary=self.local_rotary or self.rotary)
        return tuple(replace(self, window=w, **(local if w else {})) for w in self.windows)


class LanguageModelParams(NamedTuple):
    """What language_model learns. The gradient has the same type."""

    embedding: np.ndarray                     # (vocabulary, width)
    positions: np.ndarray | None              # (context, width), learned, as in GPT-2
    blocks: tuple[EncoderBlockParams, ...]
    norm: Any
    output: tuple | None                      # W (width, vocabulary); None is the embedding


class LanguageModelCache(NamedTuple):
    """What language_model_backward reads; `attention_weights` reads the weights in it."""

    embedding: EmbeddingCache
    positions: np.ndarray | None
    stack: StackCache
    output: Any
    tied: bool
    embedding_scale: float
    where: np.ndarray | None


def init_language_model(config, rng, *, tied=True, dtype=np.float64):
    """Tables normal with deviation 0.02, as GPT-2 starts; blocks as in `init_encoder`.

    tied  whether the embedding is the output, too
    """
    D = config.width

    def table(rows):
        return normal(0.02, (rows, D), rng, dtype)

    blocks, norm = init_encoder(
        D, config.hidden, config.num_blocks, rng, options=config, last_norm=True, dtype=dtype
    )
    return LanguageModelParams(
        table(config.vocabulary), table(config.context) if config.rotary is None else None,
        blocks, norm, None if tied else LinearParams(table(config.vocabulary).T, None),
    )


@quiet
def language_model(
    tokens, params, mask=None, *, config, where=None, heads_off=(), patch=None, frozen=False,
    rng=None,
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
    rng        Generator for dropout in the blocks, or None

    Returns logits (..., T, vocabulary) and the cache.
    Raises ValueError for a token outside the vocabulary or a text longer than learned positions.
    """
    X, embedded = embed_text(tokens, params, config=config)
    if where is not None and (getattr(where, "dtype", None) != bool or where.shape != tokens.shape):
        raise ValueError(f"where must be a boolean array {tokens.shape}, got {where!r}")
    X = turned_like(X, params.embedding.T)
    mask = combine_masks(causal_mask(tokens.shape[-1]), mask)
    require_flag("frozen", frozen)
    patches = _patches(heads_off, patch, len(params.blocks))
    blocks = [
        partial(encoder_block, mask=mask, patch=replaced, rng=rng, options=options)
        for replaced, options in zip(patches, config.blocks, strict=True)
    ]
    X, stacked = stack(X, StackParams(params.blocks, params.norm), blocks, options=config)
    logits, output = project(X if where is None else X[where], output_params(params, frozen))
    return logits, LanguageModelCache(
        embedded, params.positions, stacked, output, params.output is None,
        config.embedding_scale, where,
    )


@quiet
def language_model_backward(dlogits, cache: LanguageModelCache):
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


@quiet
def embedded_gradient(dlogits, cache: LanguageModelCache):
    """dX (..., T, width), the gradient of what went into the first block: which tokens mattered."""
    return _stack_backward(dlogits, cache)[0]


def _stack_backward(dlogits, cache):
    """dX of the first block, and dparams but for embedding and positions."""
    dX, doutput = project_backward(dlogits, cache.output)
    if cache.where is not None:
        dlast, dX = dX, np.zeros((*cache.where.shape, dX.shape[-1]), dX.dtype)
        dX[cache.where] = dlast
    dX, dstack = stack_backward(dX, cache.stack, encoder_block_backward)
    return dX, LanguageModelParams(None, None, *dstack, doutput)


def embed_text(tokens, params, *, config, offset=0):
    """What goes into the first block, (..., T, width), and the embedding's cache."""
    require_shapes("tokens:int ... T", tokens)
    if len(params.blocks) != config.num_blocks:
        raise ValueError(f"params have {len(params.blocks)} blocks, the config {config.num_blocks}")
    X, cache = embedding(tokens, params.embedding)
    X = X * X.real.dtype.type(config.embedding_scale)
    if params.positions is not None:
        T = tokens.shape[-1]
        if offset + T > len(params.positions):
            raise ValueError(f"the text has {offset + T} tokens, the model {len(params.positions)} "
                             "positions; give it a shorter one")
        X = X + params.positions[offset:offset + T]
    return X, cache


def output_params(params, frozen=False):
    """The map to the logits: its own, or the embedding, turned."""
    layer = params.output or LinearParams(params.embedding.T, None)
    return FrozenParams(*layer) if frozen else layer


def head_outputs(cache, block):
    """What each head of a block returned, (..., H, T, head_width): for `patch` in another run."""
    attended = cache.stack.blocks[block].self_attention.sublayer
    P, V = attended.P, attended.present.V
    return P @ np.repeat(V, P.shape[-3] // V.shape[-3], axis=-3)


def _patches(heads_off, patch, count):
    """{head: its output} for each block, 0 for a head that is off."""
    patches = [{} for _ in range(count)]
    for place, O in [*((place, 0.0) for place in heads_off), *(patch or {}).items()]:
        if np.shape(place) != (2,):
            raise ValueError(f"heads_off and patch name a head by (block, head), got {place!r}")
        block, head = place
        if not 0 <= block < count:
            raise ValueError(f"there is no block {block}: the model has blocks 0 … {count - 1}")
        patches[block][head] = O
    return patches
