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
    P is exp(S) times a factor of its row, exp(−L), which goes into dO and δ: nothing is done to S.
    Append −δ to dO and 1 to V: their product is dP − δ. What remains is one exponential and one ⊙
    for each tile.

This page has the pair; `driver` deals out the score matrix in patches, `passes` has what is done on
a patch, `score_steps` what a cap, a bias and a sink change, `reach` who may attend to whom.

`...` stands for any leading axes (batch, heads). A gradient carries the name of what it
differentiates: dO is ∂loss/∂O.
Source: Dao et al. 2022, "FlashAttention", section 3; Dao 2023, "FlashAttention-2", section 3.
"""

import math
from functools import partial

import numpy as np

from npattn.kernels.floats import half_in, half_out
from npattn.kernels.online_softmax import log_sum_exp
from npattn.kernels.options import score_scale
from npattn.kernels.shapes import require_shapes
from npattn.kernels.sums import unbroadcast
from npattn.kernels.tiling.driver import TiledCache, on_rows, on_squares, one_axis, with_axes
from npattn.kernels.tiling.exp_range import needs_shift
from npattn.kernels.tiling.passes import backward_pass, forward_pass, row_columns
from npattn.kernels.tiling.reach import set_aside
from npattn.kernels.tiling.restrictions import reach_of
from npattn.kernels.tiling.score_arguments import require_real_floats, steps_of
from npattn.kernels.tiling.sharing import Sum, owners
from npattn.kernels.tiling.threads import thread_count
from npattn.kernels.tiling.tiles import draw_seed


@half_in
def tiled_attention(
    Q, K, V, mask=None, bias=None, sink=None, *, valid_lens=None, causal=False, offset=0,
    window=None, cap=None, scale=None, dropout=0.0, rng=None, threads=None,
):
    """Same output as `attention`, faster and with less memory; the weights are not returned.

    Q           (..., Tq, Dk)  queries
    K           (..., Tk, Dk)  keys; a leading axis of length 1 is shared, without a copy
    V           (..., Tk, Dv)  values; likewise
    mask        bool, broadcastable to (..., Tq, Tk); True means "may attend"
    bias        float, broadcastable to (..., Tq, Tk), as in `add_bias`
    sink        float, broadcastable to the leading axes, as in `attend_with_sink`
    valid_lens  (B,) or (B, Tq) integers, B the first axis of Q: only so many keys count
    causal      query i may attend to the keys j ≤ i + offset
    offset      the position of query 0 among the keys: an integer, or (B,) integers
    window      query i may attend to the keys with |j − i − offset| < window; or (left, right),
                the keys from `left` before the query to `right` behind it, None for all
    cap         as in `soft_cap`
    scale       factor on the scores; None means 1/√Dk
    dropout     share of the weights that is dropped while rng, a Generator, is given
    threads     None means NPATTN_THREADS from the environment, else as many as BLAS uses

    Returns O (..., Tq, Dv) and the cache, which holds this O: do not write into it before the
    backward. All restrictions hold together, and a tile that they empty costs nothing. A query
    that may attend to nothing gets 0; one that may attend to a NaN or an inf gets NaN, and no
    other query notices. The number of threads changes no bit. Raises ValueError if shapes
    disagree, TypeError for anything but float32 or float64 arrays of one precision (complex ones
    are for `attention`).
    """
    require_real_floats(Q=Q, K=K, V=V)
    require_shapes("Q ... Tq Dk, K ... Tk Dk, V ... Tk Dv", Q, K, V)
    scale, shapes = score_scale(scale, Q), tuple(X.shape for X in (Q, K, V))
    key_lead = np.broadcast_shapes(K.shape[:-2], V.shape[:-2])
    lead = np.broadcast_shapes(Q.shape[:-2], key_lead)
    threads = thread_count(threads)
    steps = steps_of((*lead, Q.shape[-2], K.shape[-2]), Q.dtype, cap, bias, sink, threads)
    reach = reach_of(
        (*lead, Q.shape[-2]), K.shape[-2], mask, valid_lens, causal, offset, window,
        bias if steps.forbids else None,
    )._replace(by_query=steps.by_query)
    seed = draw_seed(dropout, rng)
    dropout, owner, spoilt = 0.0 if seed is None else dropout, owners(key_lead, lead), None
    Q, K, V = one_axis(Q, lead), one_axis(K, key_lead), one_axis(V, key_lead)
    shifted, loud = needs_shift(Q, K, V, reach.stop, scale, steps, owner)
    if shifted.any() and not all(np.isfinite(X).all() for X in (Q, K, V)):
        Q, K, V, spoilt = set_aside(Q, K, V, reach, owner)
        shifted = needs_shift(Q, K, V, reach.stop, scale, steps, owner)[0] | spoilt
    O = Sum((*Q.shape[:2], V.shape[-1]), Q.dtype, reach.free)
    m, Z = (X.astype(Q.dtype) for X in steps.begin(shifted))
    flat = TiledCache(
        Q, K, V, O.array, m, Z, shifted, reach, scale, dropout, seed, threads, None,
        (*shapes, None if bias is None else bias.shape, None if sink is None else sink.shape),
        owner, steps, loud,
    )
    on_rows(partial(forward_pass, (O, m, Z)), flat)
    L, L_rest = log_sum_exp(m, Z)
    if spoilt is not None:
        flat.O[spoilt] = L[spoilt] = np.nan
    cache = with_axes(flat._replace(O=O.total(), L=L, L_rest=L_rest), lead, key_lead)
    return cache.O, cache


@half_out
def tiled_attention_backward(dO, cache: TiledCache, dL=None):
    """dQ, dK, dV from dO (..., Tq, Dv), and from dL (..., Tq) if the loss depends on cache.L too.

    Behind them dbias and dsink, each where there is such a thing.
    Tile by tile the weights are computed once more, and the forward's lines are undone in
    reverse. ∂L_i/∂S_ij = P_ij, so dL takes its place beside δ:  dS = P ⊙ (dP − δ + dL).
    Raises ValueError if dO is not shaped like O, or dL like L.
    """
    dL = np.zeros_like(cache.L) if dL is None else dL
    require_real_floats(dO=dO, dL=dL, O=cache.O)
    require_shapes("dO =... Tq Dv, dL =... Tq, O ... Tq Dv, L =... Tq", dO, dL, cache.O, cache.L)
    lead, key_lead = cache.L.shape[:-1], cache.K.shape[:-2]
    flat = with_axes(cache, (math.prod(lead),), (math.prod(key_lead),))
    steps, dO, dL = flat.steps, dO.reshape(flat.O.shape), dL.reshape(flat.L.shape)
    delta = np.einsum("nqd,nqd->nq", dO, flat.O) - dL
    sums = [Sum(X.shape, X.dtype, flat.reach.free, owner)
            for X, owner in zip(flat[:3], (None, flat.owner, flat.owner), strict=True)]
    dbias = None if steps.bias is None else np.zeros(steps.bias.shape, steps.bias.dtype)
    columns = row_columns(delta, flat)
    if not flat.reach.free and not _in_range(dO, columns[1], flat.V, flat.scale):
        flat = flat._replace(loud=True)
    on_squares(partial(backward_pass, dO, delta, columns, (*sums, dbias)), flat)
    grads = [dX.total() for dX in sums]
    if steps.bias is not None:  # then dS was without the scale
        for dX in grads[:2]:
            dX *= flat.scale
    bias, sink = cache.shapes[3:] or (None, None)
    dQ, dK, dV = (
        unbroadcast(dX.reshape(*axes, *dX.shape[1:]), shape)
        for dX, axes, shape in zip(grads, (lead, key_lead, key_lead), cache.shapes, strict=False)
    )
    dbias = () if bias is None else (dbias.reshape(bias),)
    dsink = () if sink is None else (
        unbroadcast(steps.dsink(flat.L, delta).reshape(lead), sink),)
    return dQ, dK, dV, *dbias, *dsink


def _in_range(dO, w, V, scale):
    """Whether w (dP − δ) · scale is finite for all queries and values, also for those not allowed.

    Twice the largest product of all is a bound, since |δ| is at most the largest |dP|.
    """
    with np.errstate(all="ignore"):
        largest = math.prod(np.abs(X).max(initial=0.0) for X in (dO, w, V)) * V.shape[2]
        return bool(2.0 * largest * abs(scale) < np.finfo(V.dtype).max)
