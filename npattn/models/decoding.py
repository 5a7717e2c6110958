"""Decoding token by token, with the keys and values of earlier tokens kept.

Position t of a causal decoder depends on the tokens 0 … t only, so what the positions before
it have computed stays right when a token is added. A step therefore feeds one token, appends
one key and one value per block, and attends over all of them: T steps cost O(T²) instead of
O(T³). Token t must get position t (`offset`), not position 0: that is the step where d2l's
prediction errs. The tests hold every step against `decode` on the whole prefix.
The scores of one query are no matrix to be spared: whatever config.kernel, it is `attention`.
Source: Vaswani et al. 2017, section 3.1; Shazeer 2019, section 2.4; d2l 11.7.5, 11.4.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_integers
from npattn.kernels.attention import attention
from npattn.kernels.heads import merge_heads, split_heads
from npattn.kernels.linear import linear
from npattn.models.feed_forward import feed_forward
from npattn.models.normalize import normalize
from npattn.models.residual import residual
from npattn.models.transformer import embed_tokens, key_mask


class DecodeState(NamedTuple):
    """What one step hands to the next: per block the keys and values, split into heads."""

    length: int                    # tokens read so far
    keys: tuple[np.ndarray, ...]   # of the self-attention (B, H, length, D/H)
    values: tuple[np.ndarray, ...]
    memory_keys: tuple[np.ndarray, ...]  # of the cross-attention (B, H, Ts, D/H)
    memory_values: tuple[np.ndarray, ...]
    memory_mask: np.ndarray | None       # (B, 1, 1, Ts)


def start_decoding(M, params, source_mask=None, *, config):
    """The state before the first token: the memory's keys and values, projected once.

    M            (B, Ts, D)  from `encode`
    params       DecodeParams
    source_mask  (B, Ts)     bool, True = a real token
    """
    attentions = [block.cross_attention for block in params.stack.blocks]
    empty = tuple(
        np.zeros((len(M), config.num_heads, 0, config.width // config.num_heads), M.dtype)
        for _ in attentions
    )
    mask = key_mask(source_mask, M.shape[:2])
    return DecodeState(
        0,
        empty,
        empty,
        tuple(_project(M, a.key, config) for a in attentions),
        tuple(_project(M, a.value, config) for a in attentions),
        None if mask is None else mask[:, None],
    )


def decode_step(tokens, state, params, *, config):
    """Logits for the next token, after one more token of each sequence.

    tokens  (B,)  integers, the newest token of each sequence
    state   DecodeState
    params  DecodeParams

    Returns logits (B, target_vocabulary) and the new state; the old one stays as it was.
    """
    require_integers(tokens=tokens)
    X, _ = embed_tokens(tokens[:, None], params.embedding, config=config, offset=state.length)
    keys, values = [], []
    for i, block in enumerate(params.stack.blocks):

        def hear(Z, block=block, i=i):
            K = _append(state.keys[i], _project(Z, block.self_attention.key, config))
            V = _append(state.values[i], _project(Z, block.self_attention.value, config))
            keys.append(K)
            values.append(V)
            return _attend(Z, K, V, block.self_attention, None, config), None

        def read(Z, block=block, i=i):
            K, V = state.memory_keys[i], state.memory_values[i]
            return _attend(Z, K, V, block.cross_attention, state.memory_mask, config), None

        def think(Z, block=block):
            return feed_forward(Z, block.feed_forward, **config.fed())

        X, _ = residual(X, block.self_attention_norm, hear, options=config)
        X, _ = residual(X, block.cross_attention_norm, read, options=config)
        X, _ = residual(X, block.feed_forward_norm, think, options=config)
    if params.stack.norm is not None:
        X, _ = normalize(X, params.stack.norm, **config.normalized())
    logits, _ = linear(X[:, 0], params.output)
    return logits, state._replace(
        length=state.length + 1, keys=tuple(keys), values=tuple(values)
    )


def select_rows(state, rows):
    """The state of those rows of the batch, in that order: what a beam keeps.

    rows  (B',)  integers, or bool (B,)
    """
    picked = {
        name: tuple(X[rows] for X in getattr(state, name))
        for name in ("keys", "values", "memory_keys", "memory_values")
    }
    mask = state.memory_mask
    return state._replace(**picked, memory_mask=None if mask is None else mask[rows])


def _append(old, new):
    return np.concatenate([old, new], axis=-2)


def _project(X, layer, config):
    return split_heads(linear(X, layer)[0], config.num_heads)


def _attend(Z, K, V, params, mask, config):
    """multihead_attention with keys and values that are projected already."""
    O, _ = attention(_project(Z, params.query, config), K, V, mask)
    return linear(merge_heads(O), params.output)[0]
