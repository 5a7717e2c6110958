"""Attention without the (Tq, Tk) matrix, on one page: block by block of keys, on one thread.

Forward, for each block of keys j; m is the largest score so far, Z and Y the sums so far:

    S = (scale · Q) K_jᵀ        E = exp(S − m)
    Z ← Z exp(m_old − m) + Σ E              when m rises, what was summed before shrinks
    Y ← Y exp(m_old − m) + E V_j
    and in the end   O = Y / Z,   L = m + log Z

Backward, for each block again: L alone brings the weights back, and one number δ for each query
stands for the sum over all keys, Σ_j P ⊙ dP = Σ_j P_j (dO · V_j) = dO · O:

    P = exp(S − L)              dV_j = Pᵀ dO
    dP = dO V_jᵀ                dS = P ⊙ (dP − δ),   δ = dO · O
    dQ = Σ_j scale · dS K_j     dK_j = dSᵀ (scale · Q)

No more than Tq · block scores exist at a time. `tiled_attention` does the same many times as fast:
see the pages in `tiling`.
Source: Milakov and Gimelshein 2018, section 3; Dao et al. 2022, "FlashAttention", section 3.
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.options import require_counts, require_real
from npattn.kernels.shapes import require_mask, require_shapes
from npattn.kernels.sums import row_sums, unbroadcast


class BlocksCache(NamedTuple):
    """What attention_by_blocks_backward reads: nothing has Tq · Tk entries, but for the mask."""

    Q: np.ndarray     # (..., Tq, Dk)
    K: np.ndarray     # (..., Tk, Dk)
    V: np.ndarray     # (..., Tk, Dv)
    O: np.ndarray     # (..., Tq, Dv)
    L: np.ndarray     # (..., Tq, 1) log-sum-exp of the scores, 0 where no key is allowed
    mask: np.ndarray  # (..., Tq, Tk)
    scale: float
    block: int


@quiet
def attention_by_blocks(
    Q, K, V, mask=None, *, scale=None, block=64
) -> tuple[np.ndarray, BlocksCache]:
    """Same output as `attention`, with less memory; the weights are not returned.

    Q, K, V, mask, scale  as in `attention`; what is masked must be finite
    block                 how many keys are looked at together

    Returns O (..., Tq, Dv) and the cache. A query that may attend to nothing gets 0.
    Raises ValueError if shapes disagree, TypeError for other than float arrays.

    >>> Q, K, V = np.eye(2), np.eye(2), np.array([[1.0], [3.0]])
    >>> attention_by_blocks(Q, K, V, np.array([True, False]), block=1)[0].tolist()
    [[1.0], [1.0]]
    """
    require_shapes("Q ... Tq Dk, K ... Tk Dk, V ... Tk Dv", Q, K, V)
    require_counts(1, block=block)
    scale = 1.0 / math.sqrt(max(1, Q.shape[-1])) if scale is None else require_real(scale=scale)
    lead = np.broadcast_shapes(Q.shape[:-2], K.shape[:-2], V.shape[:-2])
    Tq, Tk = Q.shape[-2], K.shape[-2]
    mask = require_mask(np.array(True) if mask is None else mask, (*lead, Tq, Tk))
    lowest = np.finfo(Q.dtype).min
    m, Z = np.full((*lead, Tq, 1), lowest, Q.real.dtype), np.zeros((*lead, Tq, 1), Q.dtype)
    Y = np.zeros((*lead, Tq, V.shape[-1]), V.dtype)
    for start in range(0, Tk, block):
        j = slice(start, start + block)
        S = (scale * Q) @ K[..., j, :].swapaxes(-1, -2)
        S = np.where(mask[..., j], S, -np.inf)
        m_old, m = m, np.maximum(m, S.real.max(axis=-1, keepdims=True))
        E = np.exp(S - m)
        Z = Z * np.exp(m_old - m) + row_sums(E)
        Y = Y * np.exp(m_old - m) + E @ V[..., j, :]
    dead = Z == 0.0
    O = Y / np.where(dead, 1.0, Z)
    L = np.where(dead, 0.0, m + np.log(Z))
    return O, BlocksCache(Q, K, V, O, L, mask, scale, block)


@quiet
def attention_by_blocks_backward(
    dO, cache: BlocksCache
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dQ, dK, dV from dO (..., Tq, Dv): block by block the weights are computed once more."""
    Q, K, V, O, L, mask, scale, block = cache
    require_shapes("dO =... Tq Dv, O ... Tq Dv", dO, O)
    delta = row_sums(dO * O)
    dQ, dK, dV = np.zeros_like(Q), [], []
    for start in range(0, K.shape[-2], block):
        j = slice(start, start + block)
        # P = exp(S − L)
        S = (scale * Q) @ K[..., j, :].swapaxes(-1, -2)
        P = np.exp(np.where(mask[..., j], S - L, -np.inf))
        # O = P V
        dV.append(P.swapaxes(-1, -2) @ dO)
        dP = dO @ V[..., j, :].swapaxes(-1, -2)
        dS = P * (dP - delta)
        # S = (scale · Q) Kᵀ
        dQ = dQ + scale * (dS @ K[..., j, :])
        dK.append(dS.swapaxes(-1, -2) @ (scale * Q))
    dK, dV = (np.concatenate(d, axis=-2) if d else 0.0 * X for d, X in ((dK, K), (dV, V)))
    return unbroadcast(dQ, Q), unbroadcast(dK, K), unbroadcast(dV, V)
