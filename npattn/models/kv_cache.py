"""Keys and values of a text so far, in memory that is laid out once: for inference.

    cache = KVCache(config, room=1024)         (blocks, G, room, D) for keys and for values
    past = cache.layer(i)
    Y, _ = encoder_block(X, params, past=past)    appends keys and values, then attends over all
    O = past.attend(Q, K, V)                      which is this

This is the one object of the package that a call extends. It has no backward: for gradients, the
whole text goes through `language_model`. A token costs one row of keys and values for each block,
where a pair that returns a longer cache would copy all earlier ones.
Many queries attend in tiles of TILE queries against the keys up to the tile's end, so that half of
the scores, which no query may see, are not computed; only the last TILE columns need a mask. The
queries of all r heads that share a key are the rows of one product.
Source: Shazeer 2019, "Fast Transformer Decoding", section 2.4; page `online_softmax` for tiles that
also split the keys.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from npattn.kernels.options import require_counts, require_float_dtype
from npattn.kernels.sums import row_sums

TILE = 64
SMALL = 2 / 3  # of the largest exponent: scores within it take exp as they are, without a maximum
_HIDDEN = -1e30  # added to scores: exp of it is 0, and unlike −inf it never makes NaN


class KVCache:
    """The keys and values of one text, for all blocks of a language model.

    length  tokens so far
    room    tokens that fit
    """

    def __init__(self, config, room, dtype=np.float32):
        require_counts(0, room=room)
        require_float_dtype(dtype)
        shape = config.num_blocks, config.key_heads, room, config.width_of_head(config.width)
        self.keys, self.values = np.empty(shape, dtype), np.empty(shape, dtype)
        self.room, self.length = room, 0

    def layer(self, block, ahead=0):
        """What one block reads and extends, behind `ahead` tokens that are not counted yet."""
        return Past(self.keys[block], self.values[block], self.length + ahead)

    def grow(self, tokens):
        """Count `tokens` more, once every block has written them."""
        require_counts(0, tokens=tokens)
        self.require_room(tokens)
        self.length += tokens

    def require_of(self, params, config):
        """Raises an error unless the model has so many blocks and this precision."""
        if len(self.keys) != config.num_blocks:
            raise ValueError(f"the cache has {len(self.keys)} blocks, the config "
                             f"{config.num_blocks}")
        _require_dtype(self.keys, params.embedding.dtype)

    def require_room(self, tokens):
        """Raises ValueError unless `tokens` more fit."""
        _require_room(self.room, self.length, tokens)


class Past(NamedTuple):
    """One block's share of a KVCache."""

    keys: np.ndarray    # (G, room, D)
    values: np.ndarray  # (G, room, D)
    length: int         # tokens before the newest

    def attend(self, Q, K, V, *, left=None, scale=None):
        """O, shaped like Q, of the newest T positions, whose keys and values are appended.

        Q     (G, r, T, D), or (H, T, D)
        K, V  (G, 1, T, D), or (G, T, D)
        left  how many earlier keys a query sees; None for all
        """
        (G, *_, T, D), shape = K.shape, Q.shape
        self._require(K.dtype, G, T, D)
        start, end = self.length, self.length + T
        self.keys[:, start:end], self.values[:, start:end] = (X.reshape(G, T, D) for X in (K, V))
        scale = Q.dtype.type(1.0 / math.sqrt(D) if scale is None else scale)
        Q = np.multiply(Q.reshape(G, -1, T, D), scale, order="C")
        if T == 1:
            return self._tile(slice(G), Q, start, end, left).reshape(shape)
        O = np.empty_like(Q)
        bound = np.sqrt(_longest(Q.reshape(G, -1, D)) * _longest(self.keys[:, :end]))
        small = bound < SMALL * math.log(np.finfo(Q.dtype).max)
        for first in range(0, T, TILE):
            rows = slice(first, min(first + TILE, T))
            for g in range(G):  # the scores of one stay near the processor
                one, place = slice(g, g + 1), (start + rows.start, start + rows.stop)
                O[one, :, rows] = self._tile(one, Q[one, :, rows], *place, left, small[g])
        return O.reshape(shape)

    def _require(self, dtype, G, T, D):
        heads, room, width = self.keys.shape
        _require_dtype(self.keys, dtype)
        if (heads, width) != (G, D):
            raise ValueError(f"the cache is for {heads} heads of keys, {width} wide each; "
                             f"these are {G}, {D} wide")
        _require_room(room, self.length, T)

    def _tile(self, g, Q, first, last, left, small=False):
        """O (G, r, n, D) of the queries at positions first … last − 1, for the heads g of keys."""
        least = 0 if left is None else max(0, first - left)
        K, V = self.keys[g, least:last], self.values[g, least:last]
        S = Q.reshape(len(Q), -1, Q.shape[-1]) @ K.swapaxes(-1, -2)
        _hide(S.reshape(*Q.shape[:-1], -1), first - least, left)
        if not small:
            S -= S.max(axis=-1, keepdims=True)
        np.exp(S, out=S)
        O = S @ V
        O /= row_sums(S)
        return O.reshape(Q.shape)


def _require_dtype(keys, dtype):
    if keys.dtype != dtype:
        raise TypeError(f"the cache is {keys.dtype}, but the model is {dtype}: make one with "
                        f"KVCache(config, room, np.{dtype})")


def _require_room(room, length, tokens):
    if length + tokens > room:
        raise ValueError(f"the cache is full: it has room for {room} tokens and holds {length}, "
                         f"so {tokens} more do not fit; make one with room={length + tokens} or "
                         "more")


def _longest(X):
    """The largest squared length of a row of each matrix, X (G, n, D) to (G,)."""
    return np.einsum("gnd,gnd->gn", X, X).max(axis=1)


@lru_cache(4)
def _later(n, dtype):
    """(n, n), −1e30 above the diagonal and 0 elsewhere."""
    return np.triu(np.full((n, n), _HIDDEN, dtype), 1)


def _hide(S, offset, left):
    """Adds −1e30 to the scores of later keys, and of those too far to the left, in S itself."""
    n, Tk = S.shape[-2:]
    if n > 1:
        S[..., offset:] += _later(n, S.dtype)
    if left is not None and n + offset > left + 1:
        p, j = np.arange(n)[:, None] + offset, np.arange(Tk)
        S += np.where(j >= p - left, S.dtype.type(0), S.dtype.type(_HIDDEN))
