"""What happens to scores between the product and the softmax, on a tile: a cap, a bias, a sink.

    S ← cap tanh(S / cap)                    dS ← dS (1 − tanh²)
    S ← S + bias                             dbias += dS, over what shares an entry
    Z = exp(s − m) before the first key      ds = −Σ P_sink δ,   P_sink = exp(s − L)

The sink is one more score without a value, so it is where the sums begin, and costs nothing. A
bias keeps its own axes, (M, Tq or 1, Tk or 1). One that all queries share is a column of the keys,
q·k + b = [q, 1]·[k, b], unless a cap stands between. Where it is a matrix, tiles lie in memory as
it does, query by query: added across its rows, it would take longer than the products do.
Source: the pages soft_cap, score_bias and sinks.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.sums import row_sums
from npattn.kernels.tiling.sharing import add_to, places, taken


class ScoreSteps(NamedTuple):
    """The steps of a call; None where there is none."""

    cap: float | None          # as in `soft_cap`
    bias: np.ndarray | None    # (M, Tq or 1, Tk or 1)
    owner: np.ndarray | None   # (N,) which of the M biases belongs to a head
    sink: np.ndarray | None    # (N, 1)
    largest: np.ndarray | None = None  # (M, Tq or 1) |bias| in reach of a query
    forbids: bool = False              # bias has entries of −inf

    def natural(self, any_wild):
        """Whether exp must have the base e: no factor reaches what is added, nor a cap by rows."""
        return self.added or self.cap is not None and any_wild

    @property
    def added(self):
        """Whether there is a bias that is no column of the keys."""
        return self.bias is not None and (self.cap is not None or self.bias.shape[1] > 1)

    @property
    def by_query(self):
        """Whether tiles lie in memory query by query."""
        return self.bias is not None and min(self.bias.shape[1:]) > 1

    def begin(self, shifted):
        """m and Z before the first key, (N, Tq) each."""
        sink = -np.inf if self.sink is None else self.sink
        m = np.where(shifted, sink, 0.0)
        return m, np.exp(sink - np.where(m == -np.inf, 0.0, m))

    def bound(self, S):
        """The largest |score| there can be, from that of the products, (N, Tq) or one for all."""
        if self.cap is not None:
            S = np.where(np.isfinite(S), np.minimum(S, self.cap), S)
        if self.bias is not None:
            S = S + (self.largest if self.owner is None else self.largest[self.owner])
        return S if self.sink is None else np.maximum(S, np.abs(self.sink))

    def query_columns(self, scale, unit):
        """A factor for queries, so that `apply` makes scores of their products with `keys`; and
        the column that stands beside them, if there is one."""
        factor = scale / (unit if self.cap is None else self.cap)
        return (factor,) if self.bias is None or self.added else (factor, 1.0 / unit)

    def keys(self, K, heads, tile):
        """The keys (n, keys, D) of a tile; with the bias as one more column where it is one."""
        if self.bias is None or self.added:
            return K
        column = taken(self.bias[:, 0], self.owner, heads, self._parts(0, tile)[1])
        more = np.empty((max(len(K), len(column)), K.shape[1], K.shape[2] + 1), K.dtype)
        more[..., :-1], more[..., -1] = K, column
        return more

    def apply(self, S, heads, rows, tile, unit, room=None):
        """Makes scores in that unit of products, in place. Returns tanh(S / cap), in that room."""
        T = None if self.cap is None else np.tanh(S, out=S if room is None else room)
        if T is not None:
            np.multiply(T, self.cap / unit, out=S)
        if self.added:
            S += taken(self.bias, self.owner, heads, *self._parts(rows, tile)).swapaxes(1, 2)
        return T

    def undo(self, dS, T):
        """The gradient of the products: dS itself, or over T, as `apply` returned it."""
        if T is None:
            return dS
        return np.multiply(dS, np.subtract(1.0, np.multiply(T, T, out=T), out=T), out=T)

    def hand_on(self, dS, dbias, heads, rows, tile):
        """What dS (n, keys, queries) adds to dbias, shaped like the bias."""
        if dbias is None:
            return
        dY, (rows, tile) = dS.swapaxes(1, 2), self._parts(rows, tile)
        if self.owner is None and self.by_query:  # an entry for each score: nothing to add to
            dbias[heads, rows, tile] = dY
            return
        dY = dY if self.bias.shape[1] > 1 else np.ones((1, dY.shape[1]), dY.dtype) @ dY
        dY = dY if self.bias.shape[2] > 1 else row_sums(dY)
        add_to(dbias, self.owner, heads, (rows, tile), dY)

    def dS_scale(self, scale):
        """The factor that dS may have on tiles: the scale, but 1 where dS itself is asked for."""
        return scale if self.bias is None else 1.0

    def dsink(self, L, delta):
        """The gradient of the sink, (N,)."""
        return -(np.exp(self.sink - np.where(L == -np.inf, np.inf, L)) * delta).sum(axis=1)

    def places(self, heads, a, b):
        """The sums of the bias that `hand_on` adds to, for `run`."""
        return [] if self.bias is None else places(
            "bias", self.owner, heads, *self._parts(a, b, 0))

    def _parts(self, rows, tile, shared=slice(0, 1)):
        _, Tq, Tk = self.bias.shape
        return rows if Tq > 1 else shared, tile if Tk > 1 else shared


NO_STEPS = ScoreSteps(None, None, None, None)
