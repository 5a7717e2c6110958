"""Who may attend to whom, in a form that tells at once which tiles of scores are empty.

Valid lengths, causality and a window all say the same kind of thing: query i may attend to
the keys start_i ≤ j < stop_i. A boolean mask may forbid more. So a tile, some queries against
some keys, is one of three:

    empty    no pair may attend       it is skipped
    full     every pair may attend    no mask is needed
    mixed    a boolean tile says which pairs may

Arrays have one leading axis here, N: the leading axes of the arguments, flattened. A tile is
held key by query, (n, keys, queries), as on the page `passes`.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.tiling.tiles import PATCH, blocks, row_patches


class Reach(NamedTuple):
    """Who may attend to whom."""

    start: np.ndarray        # (N, Tq) first key of each query
    stop: np.ndarray         # (N, Tq) one past its last key
    mask: np.ndarray | None  # (leading axes, Tq, Tk) bool
    free: bool               # everybody may attend to everything
    by_query: bool = False   # tiles lie in memory query by query

    def tiles(self, heads, rows, keys, size):
        """The tiles of a block of queries that are not empty.

        heads, rows, keys  slices
        size               keys to a tile

        Yields a slice of keys, and what `silence` has to be told about them: None for a full
        tile, else (n, last keys, queries) bool. The keys before those last ones are allowed.
        """
        if self.free:
            yield from ((tile, None) for tile in blocks(keys.start, keys.stop, size))
            return
        start, stop = (self._turned(X[heads, None, rows]) for X in (self.start, self.stop))
        first, last = max(keys.start, int(start.min())), min(keys.stop, int(stop.max()))
        full_from, full_to = int(start.max()), int(stop.min())
        for tile in blocks(first, last, size):
            allowed = drawn = self._drawn(heads, rows, tile)
            if full_from > tile.start or full_to < tile.stop:
                last_keys = drawn is None and full_from <= tile.start
                begin = max(tile.start, full_to) if last_keys else tile.start
                j = self._turned(np.arange(begin, tile.stop, dtype=np.int32)[None, :, None])
                allowed = j < stop if last_keys else (start <= j) & (j < stop)
                if drawn is not None:
                    allowed &= drawn
            if drawn is None or allowed.any():
                yield tile, None if allowed is None else self._turned(allowed)

    def _turned(self, X):
        """X (n, keys, queries) as it lies in memory, and what lies in memory as such an X."""
        return X.swapaxes(1, 2) if self.by_query else X

    def _drawn(self, heads, rows, tile):
        """A tile of the mask as it lies in memory; None if there is none or it allows all."""
        if self.mask is None:
            return None
        head = np.unravel_index(range(heads.start, heads.stop), self.mask.shape[:-2])
        drawn = self.mask[(*head, rows, tile)]
        return None if drawn.all() else np.ascontiguousarray(self._turned(drawn.swapaxes(1, 2)))

    def meets(self, marked):
        """Which queries may attend to a marked key: (N, Tq) bool from marked (N, Tk) bool."""
        met = np.zeros(self.stop.shape, bool)
        (N, Tq), Tk = met.shape, marked.shape[1]
        for (heads, rows, keys), _ in row_patches(N, Tq, Tk, (1, PATCH, PATCH)):
            for tile, allowed in self.tiles(heads, rows, keys, PATCH):
                hit = np.repeat(marked[heads, tile, None], rows.stop - rows.start, axis=2)
                silence(hit, allowed)
                met[heads, rows] |= hit.any(axis=1)
        return met


def silence(X, allowed, value=None):
    """Makes an end, in place, of what a tile X (n, keys, queries) holds for pairs not allowed.

    allowed  as `Reach.tiles` yields it
    value    what to write there; None means 0, and that X is finite: then it is much faster
    """
    if allowed is None:
        return
    X = X[:, -allowed.shape[1] :]
    if value is None:
        X *= allowed
    else:
        np.copyto(X, value, where=~allowed)


def set_aside(Q, K, V, reach, owner=None):
    """Zeros in place of every row that holds NaN or inf, and who is spoilt by that.

    A product 0 · NaN is NaN, so a weight of 0 does not keep a NaN out. Without it the sums are
    as if it had never been there; the queries that may attend to it are given NaN afterwards.

    Q (N, Tq, Dk)   K (M, Tk, Dk)   V (M, Tk, Dv)
    owner  (N,) which of the M heads of keys is whose; None means M = N

    Returns Q, K, V and spoilt (N, Tq) bool.
    """
    good_Q, good_K, good_V = (np.isfinite(X).all(axis=2, keepdims=True) for X in (Q, K, V))
    bad_keys = ~(good_K & good_V)[..., 0]
    bad_keys = bad_keys if owner is None else bad_keys[owner]
    spoilt = reach.meets(bad_keys) | (~good_Q[..., 0] & reach.meets(np.ones_like(bad_keys)))
    zero = Q.dtype.type(0.0)
    return np.where(good_Q, Q, zero), np.where(good_K, K, zero), np.where(good_V, V, zero), spoilt
