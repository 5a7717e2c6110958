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
        norm, past = block.attention_norm, cache.layer(i)
        x = _after(x, _attend(_before(x, norm, o), block.attention, past, o), norm, o)
        norm = block.feed_forward_norm
        x = _after(x, _feed(_before(x, norm, o), block.feed_forward, o), norm, o)
    return x


def _before(x, params, o):
    """What a layer reads: N(x), or x itself where the norm comes after."""
    if o.norm == "post":
        return x
    return _normalize(x, params[0] if o.norm == "sandwich" else params, o)


def _after(x, y, params, o):
    """What goes on from x and what a layer made of it."""
    if o.norm == "post":
        return _normalize(x + y, params, o)
    return x + (_normalize(y, params[1], o) if o.norm == "sandwich" else y)


def _attend(x, params, past, o):
    q, k, v = (_product(x, layer) for layer in params[:3])
    G, D, t = o.key_heads, len(k) // o.key_heads, past.length
    Q, K = q.reshape(-1, D), k.reshape(G, D)
    if isinstance(params, ExtendedMultiHeadParams) and params.extras is not None:
        gains, eps = params.extras.qk_norm, float(o.eps)
        Q, K = _rms_norm(Q, gains.query, eps), _rms_norm(K, gains.key, eps)
    if o.rotary is not None:
        turns, pairing = turns_of(o.rotary, t, D, x.dtype)
        QK = turn_pairs(np.concatenate([Q, K]), turns, pairing)
        Q, K = QK[:-G], QK[-G:]
    past.keys[:, t], past.values[:, t] = K, v.reshape(G, D)
    left = None if o.window is None else window_sides(o.window)[0]
    seen = slice(0 if left is None else max(0, t - left), t + 1)
    Q = Q.reshape(G, -1, D) * x.dtype.type(1.0 / math.sqrt(D) if o.scale is None else o.scale)
    S = Q @ past.keys[:, seen].swapaxes(1, 2)
    S -= S.max(axis=2, keepdims=True)
    E = np.exp(S, out=S)
    O = E @ past.values[:, seen] / E.sum(axis=2, keepdims=True)
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
