"""Decoding token by token, with the keys and values of earlier tokens kept.

Position t of a causal decoder depends on the tokens 0 … t only, so what the positions before
it have computed stays right when a token is added. A step therefore feeds one token, appends
one key and one value per block, and attends over all of them: T steps cost O(T²) instead of
O(T³). Token t must get position t (`offset`), not position 0: that is the step where d2l's
prediction errs. The tests hold every step against `decode` on the whole prefix.
The scores of one query are no matrix to be spared: whatever config.kernel, it is `attention`.
Source: Vaswani et al. 2017, section 3.1; Shazeer 2019, section 2.4; d2l 11.7.5, 11.4.
"""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_integers
from npattn.kernels.key_value_cache import KeysValues
from npattn.kernels.linear import linear
from npattn.models.block import decoder_block
from npattn.models.multihead import cross_attention, self_attention
from npattn.models.stack import stack
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
    nothing, options = M[:, :0], config.attended(None)
    own, read = [], []
    for block in params.stack.blocks:
        _, cache = self_attention(nothing, block.self_attention, **options)
        own.append(cache.present)
        _, cache = cross_attention(nothing, M, block.cross_attention, **options)
        read.append(cache.present)
    mask = key_mask(source_mask, M.shape[:2])
    keys, values, memory_keys, memory_values = (
        tuple(present[i] for present in presents) for presents in (own, read) for i in range(2)
    )
    mask = None if mask is None else mask[:, None]
    return DecodeState(0, keys, values, memory_keys, memory_values, mask)


def decode_step(tokens, state, params, *, config):
    """Logits for the next token, after one more token of each sequence.

    tokens  (B,)  integers, the newest token of each sequence
    state   DecodeState
    params  DecodeParams

    Returns logits (B, target_vocabulary) and the new state; the old one stays as it was.
    """
    require_integers(tokens=tokens)
    X, _ = embed_tokens(tokens[:, None], params.embedding, config=config, offset=state.length)
    memory = np.empty((len(tokens), 0, X.shape[-1]), X.dtype)  # all of it is in the state
    options = replace(config, kernel="attention")
    blocks = [
        partial(_block, memory, state.memory_mask, (KeysValues(K, V), KeysValues(MK, MV)), options)
        for K, V, MK, MV in zip(*state[1:5], strict=True)
    ]
    X, cache = stack(X, params.stack, blocks, options=options)
    logits, _ = linear(X[:, 0], params.output)
    presents = [block.self_attention.sublayer.present for block in cache.blocks]
    keys, values = (tuple(present[i] for present in presents) for i in range(2))
    return logits, state._replace(length=state.length + 1, keys=keys, values=values)


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


def _block(M, memory_mask, past, options, X, params):
    return decoder_block(X, M, params, None, memory_mask, past=past, options=options)
