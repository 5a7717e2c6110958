"""What happens to scores between the product and the softmax, on a tile: a cap, a bias, a sink.

    S ← cap tanh(S / cap)                    dS ← dS (1 − tanh²)
    S ← S + bias                             dbias += dS, over what shares an entry
    Z = exp(s − m) before the first key      ds = −Σ P_sink δ,   P_sink = exp(s − L)

The sink is one more score without a value, so it is where the sums begin, and costs nothing. A
bias keeps its own axes, (M, Tq or 1, Tk or 1). Tiles, and the gradient of a bias, are held key by
query, and scores are measured in `unit`, (n, queries): see `exp_range`.
Source: the pages soft_cap, score_bias and sinks.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_real_floats
from npattn.kernels.options import require_cap
from npattn.kernels.sums import unbroadcast
from npattn.kernels.tiling.sharing import owners, places, taken


class ScoreSteps(NamedTuple):
    """The steps of a call; None where there is none."""

    cap: float | None          # as in `soft_cap`
    bias: np.ndarray | None    # (M, Tq or 1, Tk or 1)
    owner: np.ndarray | None   # (N,) which of the M biases belongs to a head
    sink: np.ndarray | None    # (N, 1)

    def begin(self, shifted):
        """m and Z before the first key, (N, Tq) each."""
        if self.sink is None:
            return np.where(shifted, -np.inf, 0.0), np.zeros(shifted.shape)
        m = np.where(shifted, self.sink, 0.0)
        return m, np.exp(self.sink - np.where(m == -np.inf, 0.0, m))

    def query_factor(self, scale, unit):
        """What queries are multiplied by, so that their product with the keys is S / unit."""
        return scale / (unit if self.cap is None else self.cap)

    def apply(self, S, unit, heads, rows, tile, rooms):
        """Makes scores of products, in place. Returns tanh(S / cap), in a room, or None."""
        T, inverse = None, (1.0 / unit).astype(S.dtype)
        if self.cap is not None:
            T = np.tanh(S, out=rooms.tile(3, *S.shape, S.dtype))
            np.multiply(T, (self.cap * inverse)[:, None], out=S)
        if self.bias is not None:
            bias = taken(self.bias, self.owner, heads, *self._parts(rows, tile))
            n, queries = unit.shape
            # rows a power of 2 apart would share lines of the cache, hence the 16
            row = rooms.tile(4, n, queries, bias.shape[2] + 16, S.dtype)[..., :-16]
            S += np.multiply(bias, inverse[..., None], out=row).swapaxes(1, 2)
        return T

    def undo(self, dS, T, dbias, heads, rows, tile):
        """Makes the gradient of the products, in place, and adds to dbias what is its share.

        dS (n, keys, queries)   T as `apply` returned it, overwritten   dbias (M, Tk or 1, Tq or 1)
        """
        if dbias is not None:
            rows, tile = self._parts(rows, tile)
            own = range(heads.start, heads.stop) if self.owner is None else self.owner[heads]
            for head, dS_head in zip(own, dS, strict=True):
                part = dbias[head, tile, rows]
                part += unbroadcast(dS_head, part)
        if T is not None:
            np.multiply(T, T, out=T)
            dS *= np.subtract(1.0, T, out=T)

    def dS_scale(self, scale):
        """The factor that dS may have on tiles: the scale, but 1 where dS itself is asked for."""
        return scale if self.bias is None else 1.0

    def dsink(self, L, delta):
        """The gradient of the sink, (N,)."""
        return -(np.exp(self.sink - np.where(L == -np.inf, np.inf, L)) * delta).sum(axis=1)

    def zeros(self):
        """Where `undo` adds the gradient of the bias, key by query as tiles are; or None."""
        return None if self.bias is None else np.zeros_like(self.bias.swapaxes(1, 2), order="C")

    def dbias(self, zeros, shape):
        """The gradient of the bias in the shape that it came with."""
        _, Tk, Tq = zeros.shape
        return zeros.reshape(*shape[:-2], Tk, Tq).swapaxes(-1, -2).reshape(shape)

    def places(self, heads, a, b):
        """The sums of the bias that `undo` adds to, for `run`."""
        if self.bias is None:
            return []
        _, Tq, Tk = self.bias.shape
        return places("bias", self.owner, heads, a if Tq > 1 else 0, b if Tk > 1 else 0)

    def _parts(self, rows, tile):
        _, Tq, Tk = self.bias.shape
        return rows if Tq > 1 else slice(0, 1), tile if Tk > 1 else slice(0, 1)


NO_STEPS = ScoreSteps(None, None, None, None)


def steps_of(S, dtype, cap=None, bias=None, sink=None):
    """The ScoreSteps that the options of `tiled_attention` describe, for scores of the shape S.

    Raises TypeError or ValueError that names the argument which does not fit.
    """
    *lead, Tq, Tk = S
    owner = None
    if bias is not None:
        require_real_floats(Q=np.empty(0, dtype), bias=bias)
        _require_fits("bias", bias.shape, S, "insert axes of length 1 where it should repeat")
        shape = (1,) * (2 - bias.ndim) + bias.shape
        owner = owners(shape[:-2], lead)
        bias = bias.reshape(-1, *shape[-2:]) if bias.size else np.zeros((0, *shape[-2:]), dtype)
    if sink is not None:
        require_real_floats(Q=np.empty(0, dtype), sink=sink)
        _require_fits("sink", sink.shape, lead, "there must be one for each head")
        sink = np.broadcast_to(sink, lead).reshape(-1, 1)
    return ScoreSteps(None if cap is None else require_cap(cap), bias, owner, sink)


def _require_fits(name, shape, whole, advice):
    try:
        fits = np.broadcast_shapes(shape, whole) == tuple(whole)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name} {shape} does not broadcast to {tuple(whole)}; {advice}")
