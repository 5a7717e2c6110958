"""Attention over Dask arrays: a sequence that outgrows one machine, block by block on many workers.

The queries come in chunks a and the keys in chunks b. Attention of the queries a over the keys b
needs no other block, and two parts without a common key merge (page `online_softmax`):

    O_ab, L_ab = attention(Q_a, K_b, V_b)              `tiled_attention`, a task for each (a, b)
    O_a, L_a   = (O_a1, L_a1) ⊕ (O_a2, L_a2) ⊕ …       `merge_partials`, along a binary tree

    P_ab = exp(S_ab − L_a)        dS_ab = P_ab ⊙ (dO_a V_bᵀ − δ_a),      δ_a = dO_a · O_a
    dQ_a = Σ_b scale · dS_ab K_b  dK_b = Σ_a dS_abᵀ (scale · Q_a)   dV_b = Σ_a P_abᵀ dO_a

In the backward L and δ say all that a block has to know of the others; the sums are trees as well.
A task holds a block of queries and one of keys, never all keys or a (Tq, Tk) matrix. Blocks in
which no query may attend to a key are not computed, and nothing is before `.compute()`.
Source: Milakov and Gimelshein 2018, section 3.1; Liu, Zaharia and Abbeel 2023, "Ring Attention".
"""

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from npattn.chunks import block_array, block_pairs, blocks_of, place_in, require_chunks, tree
from npattn.cluster import connect, require_dask  # noqa: F401
from npattn.kernels.online_softmax import Partial, merge_partials
from npattn.kernels.options import score_scale
from npattn.kernels.tiling.driver import TiledCache
from npattn.kernels.tiling.exp_range import needs_shift
from npattn.kernels.tiling.reach import set_aside
from npattn.kernels.tiling.restrictions import reach_of
from npattn.kernels.tiling.tiled import tiled_attention, tiled_attention_backward
require_dask("npattn.distributed")
import dask.array as da  # noqa: E402
from dask import delayed  # noqa: E402


class DistributedCache(NamedTuple):
    """What attention_backward reads; `dask.persist(O, cache)` keeps it on the workers."""

    Q: da.Array       # (..., Tq, Dk)
    K: da.Array       # (..., Tk, Dk)
    V: da.Array       # (..., Tk, Dv)
    O: da.Array       # (..., Tq, Dv)
    L: da.Array       # (..., Tq) log-sum-exp of the scores; −inf where no key is allowed
    L_rest: da.Array  # (..., Tq) what L has lost to rounding
    scale: float
    where: tuple      # valid_lens, causal, offset and window, as given


def attention(Q, K, V, *, valid_lens=None, causal=False, offset=0, window=None, scale=None):
    """Same output as `attention`, a Dask array with the chunks of Q.

    Q, K, V  Dask arrays (..., Tq, Dk), (..., Tk, Dk), (..., Tk, Dv), in chunks along any axis but
             the last; axes that are alike have the same chunks
    valid_lens, causal, offset, window, scale  as in `tiled_attention`

    Returns O (..., Tq, Dv) and the cache. Raises TypeError or ValueError that names the array.
    >>> Q = da.from_array(np.eye(4), chunks=(2, -1))
    >>> attention(Q, Q, Q, causal=True, scale=0.0)[0].compute()[:2].tolist()
    [[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]]
    """
    lead = require_chunks("Q ... Tq Dk, K ... Tk Dk, V ... Tk Dv", Q, K, V)
    scale, where = score_scale(scale, Q), (valid_lens, causal, offset, window)
    parts, rows, (q, k, v) = defaultdict(list), (*lead, Q.chunks[-2]), blocks_of(lead, Q, K, V)
    for i, j, here in block_pairs(rows, K.chunks[-2], *where):
        parts[i].append(delayed(_attend)(q[i], k[j], v[j], scale, here))
    merged = {i: delayed(_rounded)(tree(delayed(_merge), parts[i])) for i in parts}
    O, L, L_rest = (
        block_array({i: merged[i][n] for i in merged}, chunks, Q.dtype, fill) for n, chunks, fill
        in [(0, (*rows, V.chunks[-1]), 0.0), (1, rows, -np.inf), (2, rows, 0.0)])
    return O, DistributedCache(Q, K, V, O, L, L_rest, scale, where)


def attention_backward(dO, cache):
    """dQ, dK, dV, Dask arrays with the chunks of Q, K and V, from dO with those of O."""
    Q, K, V, O, L, L_rest, scale, where = cache
    lead = require_chunks("dO =... Tq Dv, O ... Tq Dv", dO, O)
    delta = (dO * O).sum(axis=-1, keepdims=True)
    columns = blocks_of(lead, dO, delta, L[..., None], L_rest[..., None])
    parts, (q, k, v) = [defaultdict(list) for _ in range(3)], blocks_of(lead, Q, K, V)
    for i, j, here in block_pairs((*lead, Q.chunks[-2]), K.chunks[-2], *where):
        given = (X[i] for X in (*columns, q))
        grads = delayed(_attend_backward, nout=3)(*given, k[j], v[j], scale, here)
        for sums, X, place, grad in zip(parts, (Q, K, V), (i, j, j), grads, strict=True):
            sums[place_in(X, place)].append(grad)
    return tuple(
        block_array({i: tree(delayed(np.add), sums[i]) for i in sums}, X.chunks, X.dtype)
        for X, sums in zip((Q, K, V), parts, strict=True))


def _attend(Q, K, V, scale, where):
    """Partial(O, L) of a block; L, in float64, keeps what rounding would take from it."""
    O, cache = tiled_attention(Q, K, V, scale=scale, threads=1, **where)
    return Partial(O, cache.L.astype(np.float64) + cache.L_rest)


def _merge(*parts):
    (O, L), _ = merge_partials(*((O.astype(np.float64), L) for O, L in parts))
    return Partial(O.astype(parts[0].O.dtype), L)


def _rounded(part):
    """O, L and L_rest, all of one precision."""
    L = part.L.astype(part.O.dtype)
    return part.O, L, np.where(np.isfinite(L), part.L - np.nan_to_num(L), 0.0).astype(L.dtype)


def _attend_backward(dO, delta, L, rest, Q, K, V, scale, where):
    """What a block adds to dQ, dK and dV; L and δ, (..., Tq, 1), are those of all keys."""
    reach, shapes = reach_of(dO.shape[:-1], K.shape[-2], **where), (Q.shape, K.shape, V.shape)
    Q, K, V = (np.broadcast_to(X, (*dO.shape[:-2], *X.shape[-2:])) for X in (Q, K, V))
    Q, K, V = (X.reshape(np.prod(X.shape[:-2], dtype=int), *X.shape[-2:]) for X in (Q, K, V))
    if not all(np.isfinite(X).all() for X in (Q, K, V)):
        Q, K, V, _ = set_aside(Q, K, V, reach)
    L, rest, minus_delta = L[..., 0], rest[..., 0], -delta[..., 0]
    shifted, loud = needs_shift(Q, K, V, reach.stop, scale)
    shifted = shifted.reshape(L.shape) | np.isnan(L)
    Q, K, V = (X.reshape(*dO.shape[:-2], *X.shape[1:]) for X in (Q, K, V))
    O = np.broadcast_to(dO.dtype.type(0.0), dO.shape)  # dL = −δ stands for dO · O
    cache = TiledCache(
        Q, K, V, O, L, rest, shifted, reach, scale, 0.0, None, 1, shapes=shapes,
        loud=loud or bool(shifted.any()),
    )
    return tiled_attention_backward(dO, cache, minus_delta)
