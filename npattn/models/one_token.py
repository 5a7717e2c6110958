"""One token through the blocks of a language model: what each word that it writes costs.

    x ← x + attend(N(x))        x ← x + feed_forward(N(x))        x (D,), block after block

A token is one vector. Every matrix is read for a single product with it, so memory sets the pace,
and whatever a processor does between two products makes it wait: checks of arguments and caches for
a backward took a fifth of such a step. This page has neither. It computes what `encoder_block`
computes behind a `KVCache`, from the same parameters, whose shapes the first tokens of the text
have proved. It is for inference, and has no backward.
Source: the pages block, residual, multihead and feed_forward, on which each line stands as well.
"""

import math

import numpy as np

from npattn.kernels.layer_norm import LayerNormParams
from npattn.kernels.rotary import turn_pairs
from npattn.models.feed_forward import ACTIVATIONS, GatedFeedForwardParams
from npattn.models.head_extras import turns_of
from npattn.models.kernel_choice import window_sides
from npattn.models.multihead import ExtendedMultiHeadParams
from npattn.models.projection import AdaptedParams


def one_token(x, params, cache, *, config):
    """What the blocks make of the newest token, (width,).

    x       (width,)  what goes into the first block
    params  LanguageModelParams
    cache   KVCache with at least one token, whose layers get this token's keys and values; it does
            not count it yet
    config  LanguageModelConfig
    """
    for i, (block, o) in enumerate(zip(params.blocks, config.blocks, strict=True)):
        past = cache.layer(i)
        x = _residual(x, block.attention_norm, lambda z: _attend(z, block.attention, past, o), o)
        x = _residual(x, block.feed_forward_norm, lambda z: _feed(z, block.feed_forward, o), o)
    return x


def _residual(x, params, f, o):
    if o.norm == "post":
        return _normalize(x + f(x), params, o)
    before, behind = params if o.norm == "sandwich" else (params, None)
    y = f(_normalize(x, before, o))
    return x + (y if behind is None else _normalize(y, behind, o))


def _attend(x, params, past, o):
    q, k, v = (_product(x, layer) for layer in params[:3])
    G, D = o.key_heads, len(k) // o.key_heads
    Q, K, V = q.reshape(-1, D), k.reshape(G, D), v.reshape(G, 1, D)
    if isinstance(params, ExtendedMultiHeadParams) and params.extras is not None:
        gains, eps = params.extras.qk_norm, float(o.eps)
        Q, K = _rms_norm(Q, gains.query, eps), _rms_norm(K, gains.key, eps)
    if o.rotary is not None:
        turns, pairing = turns_of(o.rotary, past.length, D, x.dtype)
        QK = turn_pairs(np.concatenate([Q, K]), turns, pairing)
        Q, K = QK[:-G], QK[-G:]
    left = None if o.window is None else window_sides(o.window)[0]
    O = past.attend(Q[:, None], K[:, None], V, left=left, scale=o.scale)
    return _product(O.reshape(-1), params.output)


def _feed(x, params, o):
    activate, _ = ACTIVATIONS[o.activation]
    h = _product(x, params.hidden)
    if isinstance(params, GatedFeedForwardParams):
        h *= activate(_product(x, params.gate))[0]
    else:
        h, _ = activate(h)
    return _product(h, params.output)


def _product(x, layer):
    """x W + b, and x A B where the layer has an update."""
    if isinstance(layer, AdaptedParams):
        A, B = layer.update
        return _product(x, layer.layer) + x @ A @ B
    W, b = layer
    return x @ W if b is None else x @ W + b


def _normalize(x, params, o):
    if isinstance(params, LayerNormParams):
        x = x - x.sum() / len(x)
        y = x / math.sqrt(x @ x / len(x) + o.eps) * params.gain
        return y if params.bias is None else y + params.bias
    gain = params if o.normalization == "rms_norm" else 1.0 + params
    return x * (gain / math.sqrt(x @ x / len(x) + o.eps))


def _rms_norm(X, gain, eps):
    return X / np.sqrt((X * X).sum(axis=1, keepdims=True) / X.shape[1] + eps) * gain
