"""Attention tile by tile: what `attention` computes, without ever holding a (Tq, Tk) matrix.

The page `attention_by_blocks` has the same on one thread in few lines; this one is fast.

    S = Q Kᵀ · scale      O = softmax(S) V      (..., Tq, Dv)
    L_i = log Σ_j exp(S_ij)                     (..., Tq)       log-sum-exp of each row

A tile, the scores of some queries against some keys, is made, used and forgotten while it
lies in the second-level cache. Matrix products do all the work but the exponential.

Forward. A shift of a row of S leaves its softmax as it is; it only keeps exp in range. By
    Cauchy and Schwarz |S_ij| ≤ ‖q_i‖ · max_j ‖k_j‖ · |scale|. Where this bound is small, as
    it mostly is, no shift is needed, and nobody has to look for the largest score first:
        E = exp(S),   Z += Σ_j E_j,   Y += E V,       and in the end O = Y / Z, L = log Z.
    Where it is large, the row keeps a running maximum (pages `exp_range`, `online_softmax`).
Backward. L alone brings the weights back, and one more number per query their gradient:
        P = exp(S − L),   dP = dO Vᵀ,   dS = P ⊙ (dP − δ),   δ_i = Σ_j P_ij dP_ij = dO_i · O_i.
    Append −L to the queries and 1 to the keys: their product is S − L. Append −δ to dO and 1
    to V: theirs is dP − δ. What remains is one exponential and one ⊙ for each tile.

This page has the pair, and the driver of both directions, which deals out the score matrix
in patches; the page `passes` has what is done on a patch. Patches that add to different
sums run side by side on threads: NumPy lets go of the interpreter lock inside a product.

`...` stands for any leading axes (batch, heads). A gradient carries the name of what it
differentiates: dO is ∂loss/∂O.
Source: Dao et al. 2022, "FlashAttention", section 3; Dao 2023, "FlashAttention-2", section 3.
"""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.shapes import require_shapes
from npattn.kernels.tiling.exp_range import needs_shift
from npattn.kernels.floats import half_in, half_out
from npattn.kernels.tiling.reach import Reach, reach_of, set_aside
from npattn.kernels.sums import unbroadcast
from npattn.kernels.tiling.threads import run, thread_count
from npattn.kernels.tiling.passes import (
    appended_columns,
    backward_pass,
    forward_pass,
    log_sum_exp,
)
from npattn.kernels.tiling.tiles import draw_seed, latin_patches, row_patches, tile_shape

WORTH_THREADS = 2**16  # scores; with fewer, handing out the work takes longer than doing it


class TiledCache(NamedTuple):
    """What tiled_attention_backward reads. Nothing in it has Tq · Tk entries, but for the mask.

    A row of Q, K or V that holds NaN or inf may be zeros here; where a query may attend to
    it, O and L are NaN.
    """

    Q: np.ndarray        # (..., Tq, Dk)
    K: np.ndarray        # (..., Tk, Dk)
    V: np.ndarray        # (..., Tk, Dv)
    O: np.ndarray        # (..., Tq, Dv)
    L: np.ndarray        # (..., Tq) log-sum-exp of the scores; −inf where no key is allowed
    L_rest: np.ndarray   # (..., Tq) what L has lost to rounding
    shifted: np.ndarray  # (..., Tq) bool: the bound was too large, a running maximum was kept
    reach: Reach         # who may attend to whom
    scale: float
    dropout: float       # 0 without a generator
    seed: int | None     # of the dropout; None where nothing is dropped
    threads: int
    half: np.dtype | None = None  # float16 or bfloat16 where Q, K and V came as such
    shapes: tuple = ()   # of Q, K and V as they came, before their leading axes were broadcast


@half_in
def tiled_attention(
    Q, K, V, mask=None, *, valid_lens=None, causal=False, offset=0, window=None,
    scale=None, dropout=0.0, rng=None, threads=None,
):
    """Same output as `attention`, faster and with less memory; the weights are not returned.

    Q           (..., Tq, Dk)  queries
    K           (..., Tk, Dk)  keys
    V           (..., Tk, Dv)  values
    mask        bool, broadcastable to (..., Tq, Tk); True means "may attend"
    valid_lens  (B,) or (B, Tq) integers, B the first axis of Q: only so many keys count
    causal      query i may attend to the keys j ≤ i + offset
    window      query i may attend to the keys with |j − i − offset| < window
    scale       factor on the scores; None means 1/√Dk
    dropout     share of the weights that is dropped while rng, a Generator, is given
    threads     None means NPATTN_THREADS from the environment, else as many as BLAS uses

    Returns O (..., Tq, Dv) and the cache. All restrictions hold together, and a tile that
    they empty costs nothing. A query that may attend to nothing gets 0; one that may attend
    to a NaN or an inf gets NaN, and no other query notices. The number of threads changes
    no bit. Raises ValueError if shapes disagree, TypeError for anything but float32 or
    float64 arrays of one precision (complex ones are for `attention`).
    """
    _require_real(Q=Q, K=K, V=V)
    require_shapes("Q ... Tq Dk, K ... Tk Dk, V ... Tk Dv", Q, K, V)
    shapes = Q.shape, K.shape, V.shape
    lead = np.broadcast_shapes(*(shape[:-2] for shape in shapes))
    Q, K, V = (np.broadcast_to(X, (*lead, *X.shape[-2:])) for X in (Q, K, V))
    N = math.prod(lead)
    scale = 1.0 / math.sqrt(Q.shape[-1]) if scale is None else float(scale)
    reach = reach_of(Q.shape[:-1], K.shape[-2], mask, valid_lens, causal, offset, window)
    seed, threads = draw_seed(dropout, rng), thread_count(threads)
    dropout = 0.0 if seed is None else dropout
    Q, K, V = (X.reshape(N, *X.shape[-2:]) for X in (Q, K, V))
    shifted, spoilt = needs_shift(Q, K, V, reach.stop, scale), None
    if shifted.any() and not all(np.isfinite(X).all() for X in (Q, K, V)):
        Q, K, V, spoilt = set_aside(Q, K, V, reach)
        shifted = needs_shift(Q, K, V, reach.stop, scale) | spoilt
    O = np.empty((*Q.shape[:2], V.shape[-1]), Q.dtype)
    m, Z = np.where(shifted, -np.inf, 0.0).astype(Q.dtype), np.zeros(shifted.shape, Q.dtype)
    flat = TiledCache(Q, K, V, O, None, None, shifted, reach, scale, dropout, seed, threads)
    _on_tiles(partial(forward_pass, (m, Z)), flat, row_patches)
    L, L_rest = log_sum_exp(m, Z)
    if spoilt is not None:
        O[spoilt] = L[spoilt] = np.nan
    cache = _with_axes(flat._replace(L=L, L_rest=L_rest), lead)._replace(shapes=shapes)
    return cache.O, cache


@half_out
def tiled_attention_backward(dO, cache, dL=None):
    """dQ, dK, dV from dO (..., Tq, Dv), and from dL (..., Tq) if the loss depends on cache.L too.

    Tile by tile the weights are computed once more, and the forward's lines are undone in
    reverse. ∂L_i/∂S_ij = P_ij, so dL takes its place beside δ:  dS = P ⊙ (dP − δ + dL).
    Raises ValueError if dO is not shaped like O, or dL like L.
    """
    dL = np.zeros_like(cache.L) if dL is None else dL
    _require_real(dO=dO, dL=dL, Q=cache.Q)
    if dO.shape != cache.O.shape or dL.shape != cache.L.shape:
        raise ValueError(
            f"dO {dO.shape} and dL {dL.shape} must be shaped like "
            f"O {cache.O.shape} and L {cache.L.shape}"
        )
    flat = _with_axes(cache, (math.prod(cache.L.shape[:-1]),))
    grads = [np.zeros(X.shape, X.dtype) for X in (flat.Q, flat.K, flat.V)]
    dO, dL = dO.reshape(flat.O.shape), dL.reshape(flat.L.shape)
    columns = appended_columns(dO, dL, flat)
    _on_tiles(partial(backward_pass, dO, columns, grads), flat, latin_patches)
    return tuple(
        unbroadcast(G.reshape(X.shape), shape)
        for G, X, shape in zip(grads, cache[:3], cache.shapes, strict=True)
    )


def _on_tiles(work, flat, patches):
    """The driver of both directions: has all patches of the score matrix worked on."""
    (N, Tq, _), Tk = flat.Q.shape, flat.K.shape[1]
    heads, *block = tile_shape(Tq, Tk, flat.Q.itemsize)
    shape = (max(1, min(heads, N // 4)), *block)  # where heads share a tile, leave some for others
    threads = flat.threads if N * Tq * Tk >= WORTH_THREADS else 1

    def job(patch):
        with np.errstate(all="ignore"):
            work(flat, shape, *patch)

    run([(partial(job, patch), sums) for patch, sums in patches(N, Tq, Tk, shape)], threads)


def _with_axes(cache, lead):
    """The cache with other leading axes: one to work with, those of the caller to hand out."""
    own = cache.L.ndim - 1
    arrays = {name: getattr(cache, name) for name in ("Q", "K", "V", "O", "L", "L_rest", "shifted")}
    return cache._replace(**{name: X.reshape(*lead, *X.shape[own:]) for name, X in arrays.items()})


def _require_real(**arrays):
    require_floats(**arrays)
    for name, X in arrays.items():
        if np.iscomplexobj(X):
            raise TypeError(
                f'{name} is {X.dtype}, but kernel="tiled" and tiled_attention take real arrays '
                'only: use `attention` instead; use kernel="attention" in a model'
            )
