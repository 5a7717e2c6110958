"""BERT and its backward: tokens, positions and segments embedded, normalized, and an encoder.

    X = norm(E[tokens] + positions[0 … T−1] + segments[0])     (..., T, width)
    Y = encoder(X), post-norm with GELU                        (..., T, width)
    y = Σ_t Y_t / T over the real tokens, or Y_0               (..., width)   a text as one vector

The encoder is the page `encoder`. Every token attends to every other, so that what a word means can
depend on what follows it.
Source: Devlin et al. 2018, "BERT", section 3; Reimers and Gurevych 2019, "Sentence-BERT",
section 3, for the mean.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.embedding import EmbeddingCache, embedding, embedding_backward
from npattn.kernels.floats import quiet
from npattn.kernels.layer_norm import LayerNormCache, LayerNormParams
from npattn.kernels.options import require_choice
from npattn.kernels.shapes import require_mask, require_shapes
from npattn.models.config import BERT, Options, model_config
from npattn.models.encoder import EncoderParams, encoder, encoder_backward
from npattn.models.normalize import normalize, normalize_backward
from npattn.models.stack import StackCache


@model_config(**BERT)
class BertConfig(Options):
    """What is no parameter: the options of every block."""


class BertParams(NamedTuple):
    """What bert learns. The gradient has the same type."""

    tokens: np.ndarray     # (vocabulary, width)
    positions: np.ndarray  # (context, width)
    segment: np.ndarray    # (width,) of the first of two texts; here there is one
    norm: LayerNormParams
    encoder: EncoderParams


class BertCache(NamedTuple):
    """What bert_backward reads."""

    tokens: EmbeddingCache
    positions: np.ndarray
    norm: LayerNormCache
    encoder: StackCache


@quiet
def bert(tokens, params, mask=None, *, config):
    """A vector for every token, in the light of all others.

    tokens  (..., T)  integers
    params  BertParams
    mask    (..., T)  bool, True = a real token; None means all
    config  BertConfig

    Returns Y (..., T, width) and the cache, of which `attention_weights` reads the weights.
    Raises ValueError for a token outside the vocabulary or a text longer than the positions.
    """
    require_shapes("tokens:int ... T", tokens)
    T = tokens.shape[-1]
    if T > len(params.positions):
        raise ValueError(f"the text has {T} tokens, the model {len(params.positions)} positions; "
                         "give it a shorter one")
    X, embedded = embedding(tokens, params.tokens)
    X = X + params.positions[:T] + params.segment
    X, norm = normalize(X, params.norm, **config.normalized())
    keys = None if mask is None else require_mask(mask, tokens.shape, "the tokens")[..., None, :]
    Y, stack = encoder(X, params.encoder, keys, options=config)
    return Y, BertCache(embedded, params.positions, norm, stack)


@quiet
def bert_backward(dY, cache: BertCache):
    """dparams from dY (..., T, width): the forward's calls, undone in reverse."""
    dX, dencoder = encoder_backward(dY, cache.encoder)
    dX, dnorm = normalize_backward(dX, cache.norm)
    T, width = dX.shape[-2:]
    rows = dX.reshape(-1, T, width).sum(axis=0)
    dpositions = np.zeros(cache.positions.shape, dX.dtype)
    dpositions[:T] = rows
    return BertParams(
        embedding_backward(dX, cache.tokens), dpositions, rows.sum(axis=0), dnorm, dencoder
    )


def text_vectors(Y, mask=None, *, pooling="mean"):
    """One vector for each text, of length 1: (..., width). Their products are similarities.

    Y        (..., T, width)
    mask     (..., T)  bool, True = a real token; None means all
    pooling  "mean" of the real tokens, or "cls", the first token, as the model was trained
    """
    require_choice("pooling", pooling, ("mean", "cls"))
    require_shapes("Y ... T D", Y)
    mask = np.ones(Y.shape[:-1], bool) if mask is None else mask
    where = require_mask(mask, Y.shape[:-1], "the tokens")[..., None]
    if not where.any(axis=-2).all():
        raise ValueError("mask must allow at least one token of each text")
    y = Y[..., 0, :] if pooling == "cls" else Y.mean(axis=-2, where=where)
    return y / np.linalg.norm(y, axis=-1, keepdims=True)
