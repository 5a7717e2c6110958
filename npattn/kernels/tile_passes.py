"""What `tiled_attention` does on a patch of the score matrix, forward and backward.

    forward    S = Q Kᵀ · scale     E = exp(S − m)     Z += Σ_j E_j     Y += (E ⊙ keep) V
               and when all keys have passed:  O = Y / Z,  L = m + log Z
    backward   P = exp(S − L)       dP − δ = [dO, −δ] [V, 1]ᵀ           dS = P ⊙ (dP − δ)
               dV += (P ⊙ keep)ᵀ dO,   dK += dSᵀ Q · scale,   dQ += dS K · scale

m is 0 in all rows but those that `exp_range.needs_shift` has named. keep is dropout's 0 or
1 / (1 − rate); it multiplies dP as it does P, so that where it is 0, dP − δ is −δ. What L has
lost to rounding, L_rest, is appended beside it. Constant factors (scale, 1 / (1 − rate), the
logarithm of the exponential's base) go into what a tile is made of, and are free.

Leading axes are one axis here, n, and a tile is held key by query, (n, keys, queries): S, E, P
and dS in the code are the transposes of those in the equations.

    flat               a TiledCache whose leading axes are one
    shape              how many heads, queries and keys make a tile
    heads, rows, keys  the patch, three slices; a tile is (heads, part of the rows, tile of keys)
    i, j               where that part and that tile lie within the patch
    wild               (n, rows) where scores may be large: NaN and inf are expected there
"""

import numpy as np

from npattn.kernels.exp_range import exponential, to_base, units
from npattn.kernels.online_softmax import raise_maximum
from npattn.kernels.reach import silence
from npattn.kernels.scratch import Scratch
from npattn.kernels.tiles import blocks, keep_tile

_scratch = Scratch()


def forward_pass(flat, shape, heads, rows, keys):
    """O and L of a patch of queries with all their keys, from one tile after the other."""
    K, V, wild = flat.K, flat.V, flat.shifted[heads, rows]
    base = exponential(V.dtype)
    QT = _columns(flat.Q[heads, rows], flat.scale / units(wild, base))  # (n, Dk, rows)
    Y, Z = np.zeros((*wild.shape, V.shape[2]), V.dtype), np.zeros(wild.shape, V.dtype)
    m, ones = np.where(wild, V.dtype.type(-np.inf), Z), np.ones(shape[2], V.dtype)
    for part in blocks(rows.start, rows.stop, shape[1]):
        i = _within(rows, part)
        qT, y, z, any_wild = _alone(QT, i), Y[:, i], Z[:, i], wild[:, i].any()
        for tile, allowed in flat.reach.tiles(heads, part, keys, shape[2]):
            # S = Q Kᵀ · scale
            S = _scratch.product(0, K[heads, tile], qT)
            if any_wild:
                silence(S, allowed, -np.inf)
                m[:, i], shrink = raise_maximum(S, m[:, i], wild[:, i], base)
                y *= shrink[..., None]
                z *= shrink
            # E = exp(S − m)
            E = base.exp(S, out=S)
            silence(E, allowed)
            z += ones[: E.shape[1]] @ E
            # Y = (E ⊙ keep) V
            if flat.seed is not None:
                E *= keep_tile(flat.dropout, flat.seed, heads, part, tile)
            y += _scratch.product(1, E.swapaxes(1, 2), V[heads, tile])
    Z[m == -np.inf] = 0.0  # no key, or no score above −inf
    flat.L[heads, rows], flat.L_rest[heads, rows] = _exact_sum(m, np.log(Z, dtype=np.float64))
    Z[Z == 0.0] = np.inf
    np.divide(Y, (Z * (1.0 - flat.dropout))[..., None], out=flat.O[heads, rows])


def backward_pass(dO, dL, grads, flat, shape, heads, rows, keys):
    """What a patch of the score matrix adds to dQ, dK and dV: the forward, undone in reverse."""
    Q, K, (dQ, dK, dV) = flat.Q, flat.K, grads
    base, parts = exponential(Q.dtype), blocks(rows.start, rows.stop, shape[1])
    tiles = [
        (tile, part, allowed)
        for part in parts
        for tile, allowed in flat.reach.tiles(heads, part, keys, shape[2])
    ]
    if not tiles:
        return
    XTs = _query_columns(dO, dL, flat, heads, rows)
    columns = {part.start: [_alone(XT, _within(rows, part)) for XT in XTs] for part in parts}
    K1, V1 = _append_ones(K[heads, keys], 2), _append_ones(flat.V[heads, keys], 1)
    # block of keys by block of keys, so that what belongs to one stays in the cache
    for tile, part, allowed in sorted(tiles, key=lambda entry: entry[0].start):
        (qT, gT), j, wild = columns[part.start], _within(keys, tile), flat.shifted[heads, part]
        any_wild = wild.any()
        # P = exp(S − L)
        P = _scratch.product(0, K1[:, j], qT)
        if any_wild:
            to_base(P, wild, base)
        base.exp(P, out=P)
        silence(P, allowed, 0.0 if any_wild else None)
        # Y = (P ⊙ keep) V
        dS, A = _scratch.product(1, V1[:, j], gT), P
        if flat.seed is not None:
            keep = keep_tile(flat.dropout, flat.seed, heads, part, tile)
            np.copyto(dS, gT[:, -1:], where=~keep)
            A = P * (keep * P.dtype.type(1.0 / (1.0 - flat.dropout)))
        dV[heads, tile] += _scratch.product(2, A, dO[heads, part])
        # P = softmax(S)
        dS *= P
        if any_wild:
            silence(dS, allowed, 0.0)
        # S = Q Kᵀ · scale, of which the scale is in gT
        dK[heads, tile] += _scratch.product(2, dS, Q[heads, part])
        dQ[heads, part] += _scratch.product(2, dS.swapaxes(1, 2), K[heads, tile])


def _query_columns(dO, dL, flat, heads, rows):
    """[Q, −L]ᵀ and [dO, −δ]ᵀ of some queries, with the factors that the tiles are to have.

    L / unit is written as the sum of two numbers, so that it loses nothing by the division.
    """
    q, g, L = flat.Q[heads, rows], dO[heads, rows], flat.L[heads, rows]
    unit = units(flat.shifted[heads, rows], exponential(q.dtype))
    whole = np.where(L == -np.inf, 0.0, L / unit)
    large = whole.astype(q.dtype)
    small = whole - large + flat.L_rest[heads, rows] / unit
    delta = np.einsum("nqd,nqd->nq", g, flat.O[heads, rows]) - dL[heads, rows]
    QT = _columns(q, flat.scale / unit, -large, -small)
    return QT, _columns(g, flat.scale / (1.0 - flat.dropout), delta * -flat.scale)


def _within(whole, part):
    """The slice that `part` is within `whole`."""
    return slice(part.start - whole.start, part.stop - whole.start)


def _columns(X, factor, *more):
    """[X · factor, more]ᵀ, (n, D + len(more), T), from X (n, T, D), factor and more (n, T)."""
    D = X.shape[2]
    XT = np.empty((X.shape[0], D + len(more), X.shape[1]), X.dtype)
    XT[:, :D] = (X * np.asarray(factor, X.dtype)[..., None]).swapaxes(1, 2)
    for i, row in enumerate(more):
        XT[:, D + i] = row
    return XT


def _alone(XT, i):
    """Some of these columns, with nothing in between: products are faster so."""
    return np.ascontiguousarray(XT[..., i])


def _append_ones(X, count):
    """[X, 1 …], (n, T, D + count), from X (n, T, D)."""
    return np.concatenate([X, np.ones((*X.shape[:2], count), X.dtype)], axis=2)


def _exact_sum(a, b):
    """a + b as a rounded sum and what rounding has taken from it: both in the precision of a."""
    total = a + b
    part = total - a
    lost = (a - (total - part)) + (b - part)
    rounded = total.astype(a.dtype)
    return rounded, np.where(np.isfinite(rounded), total - rounded + lost, 0.0)
