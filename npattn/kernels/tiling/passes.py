"""What `tiled_attention` does on a patch of the score matrix, forward and backward.

    forward    S = Q Kᵀ · scale     E = exp(S − m)     Z += Σ_j E_j     Y += (E ⊙ keep) V
               and when all keys have passed:  O = Y / Z,  L = m + log Z
    backward   P = w E,  w = exp(m − L)     w (dP − δ) = [w dO, −w δ] [V, 1]ᵀ
               dS = P ⊙ (dP − δ) = E ⊙ w (dP − δ)
               dV += (E ⊙ keep)ᵀ (w dO),   dK += dSᵀ Q · scale,   dQ += dS K · scale

m is 0 in all rows but those that `exp_range.needs_shift` has named; there the backward takes L
for it. keep is dropout's 0 or 1 / (1 − rate); it multiplies dP as it does P, so that where it is
0, dP − δ is −δ. Factors of a row (w) and constant ones (scale, 1 / (1 − rate), the logarithm of
the exponential's base) go into what a tile is made of, and are free.

What lies between Q Kᵀ and S, and their gradients, is the page `score_steps`. Leading axes are one
axis here, n, and a tile is held key by query, (n, keys, queries): S, E, P and dS in the code are
the transposes of those in the equations.

    flat               a TiledCache whose leading axes are one
    owner              which head of the keys belongs to a head of queries: the page `sharing`
    shape              how many heads, queries and keys make a tile
    heads, rows, keys  the patch, three slices; a tile is (heads, part of the rows, tile of keys)
    i, j               where that part and that tile lie within the patch
    wild               (n, rows) where scores may be large: NaN and inf are expected there
"""

import numpy as np

from npattn.kernels.tiling.exp_range import exponential, to_base, units
from npattn.kernels.online_softmax import raise_maximum
from npattn.kernels.tiling.reach import silence
from npattn.kernels.tiling.scratch import Scratch
from npattn.kernels.tiling.sharing import taken
from npattn.kernels.tiling.tiles import blocks, keep_tile

OUT_OF_RANGE = {"over": "raise", "under": "raise"}  # as np.errstate takes it
_scratch = Scratch()


def forward_pass(sums, flat, shape, heads, rows, keys):
    """O of a block of queries with all their keys, from one tile after the other; and m and Z.

    sums  the `Sum` O, and m and Z, (N, Tq) each: −inf or 0, and 0, at first
    """
    K, V, wild = flat.K, flat.V, flat.shifted[heads, rows]
    owner, steps = flat.owner, flat.steps
    base = exponential(V.dtype, steps.natural(any_wild := wild.any()))
    q = _append(flat.Q[heads, rows], *steps.query_columns(flat.scale, units(wild, base)))
    Y, m, Z = (X[heads, rows] for X in (sums[0].array, *sums[1:]))
    ones = np.ones(shape[2], V.dtype)
    for tile, allowed in flat.reach.tiles(heads, rows, keys, shape[2]):
        # S = Q Kᵀ · scale
        K_tile = steps.keys(taken(K, owner, heads, tile), heads, tile)
        S = _scratch.product(0, K_tile, q.swapaxes(1, 2), steps.by_query)
        steps.apply(S, heads, rows, tile, base.ln)
        if any_wild:
            silence(S, allowed, -np.inf)
            m[:], shrink = raise_maximum(S, m, wild, base)
            Y *= shrink[..., None]
            Z *= shrink
        # E = exp(S − m)
        E = base.exp(S, out=S)
        silence(E, allowed, 0.0 if flat.loud else None)
        Z += ones[: E.shape[1]] @ E
        # Y = (E ⊙ keep) V
        if flat.seed is not None:
            E *= keep_tile(flat.dropout, flat.seed, heads, rows, tile)
        sums[0].add(heads, rows, E.swapaxes(1, 2), taken(V, owner, heads, tile), _scratch)
    if any_wild:
        Z[m == -np.inf] = 0.0  # no key, or no score above −inf
    Y /= np.where(Z == 0.0, np.inf, Z * (1.0 - flat.dropout))[..., None]


def backward_pass(dO, delta, columns, grads, flat, shape, heads, rows, keys):
    """What a patch adds to dQ, dK, dV and dbias; `columns` are of `row_columns`."""
    Q, K, (dQ, dK, dV, dbias), steps, owner = flat.Q, flat.K, grads, flat.steps, flat.owner
    parts = blocks(rows.start, rows.stop, shape[1])
    tiles = [
        (tile, part, allowed)
        for part in parts
        for tile, allowed in flat.reach.tiles(heads, part, keys, shape[2])
    ]
    if not tiles:
        return
    m, w, w_delta, wild = (column[heads, rows] for column in (*columns, flat.shifted))
    base = exponential(Q.dtype, steps.natural(any_wild := wild.any()))
    dS_scale = steps.dS_scale(flat.scale)
    try:
        with np.errstate(**({} if any_wild and wild.all() else OUT_OF_RANGE)):
            g1 = _append(dO[heads, rows], w, w_delta)
    except FloatingPointError:  # w dO leaves the range of floats: once more with m = L, w = 1
        flat = flat._replace(shifted=np.ones_like(flat.shifted), loud=True)
        columns = row_columns(delta, flat)
        backward_pass(dO, delta, columns, grads, flat, shape, heads, rows, keys)
        return
    q = _append(Q[heads, rows], *steps.query_columns(flat.scale, units(wild, base)))
    V1 = _append(taken(flat.V, owner, heads, keys), dS_scale, dS_scale)
    # block of keys by block of keys, so that what belongs to one stays in the cache
    for tile, part, allowed in sorted(tiles, key=lambda entry: entry[0].start):
        i, j, K_tile = _within(rows, part), _within(keys, tile), taken(K, owner, heads, tile)
        # E = exp(S − m)
        K_more, q_part = steps.keys(K_tile, heads, tile), q[:, i].swapaxes(1, 2)
        E = _scratch.product(0, K_more, q_part, steps.by_query)
        T = steps.apply(E, heads, part, tile, base.ln, _scratch.like(3, E))
        if any_wild:
            E -= m[:, None, i]
            to_base(E, wild[:, i], base)
        base.exp(E, out=E)
        silence(E, allowed, 0.0 if flat.loud else None)
        # Y = (P ⊙ keep) V
        dS, A = _scratch.product(1, V1[:, j], g1[:, i].swapaxes(1, 2), steps.by_query), E
        if flat.seed is not None:
            keep = keep_tile(flat.dropout, flat.seed, heads, part, tile)
            np.copyto(dS, g1[:, None, i, -1] * dS.dtype.type(dS_scale), where=~keep)
            A = E * keep
        dV.add(heads, tile, A, g1[:, i, :-1], _scratch)
        # P = softmax(S)
        dS *= E
        if flat.loud:
            silence(dS, allowed, 0.0)
        # S = cap tanh(Q Kᵀ · scale / cap) + bias, of which the scale is in V1
        steps.hand_on(dS, dbias, heads, part, tile)
        dS = steps.undo(dS, T)
        dK.add(heads, tile, dS, Q[heads, part], _scratch)
        dQ.add(heads, part, dS.swapaxes(1, 2), K_tile, _scratch)


def row_columns(delta, flat):
    """m, w / (1 − rate) and −w δ, (N, Tq) each; in wild rows m is L and w makes up for L_rest."""
    L, rest = flat.L, flat.L_rest
    lost = np.where(flat.shifted, rest, np.where(L == -np.inf, np.inf, rest + L.astype(float)))
    m, w = np.where(flat.shifted & (L != -np.inf), L, 0.0), np.exp(-lost)
    return [X.astype(L.dtype) for X in (m, w / (1.0 - flat.dropout), -w * delta)]


def _within(whole, part):
    """The slice that `part` is within `whole`."""
    return slice(part.start - whole.start, part.stop - whole.start)


def _append(X, factor, *more):
    """[X · factor, more], (n, T, D + len(more)); X is (n, T, D), the others (n, T) or numbers."""
    D = X.shape[2]
    out = np.empty((*X.shape[:2], D + len(more)), X.dtype)
    np.multiply(X, np.asarray(factor, X.dtype)[..., None], out=out[..., :D])
    for i, column in enumerate(more, start=D):
        out[..., i] = column
    return out
