"""Latent attention (MLA): keys and values of all heads are read out of one narrow vector per token.

    K_h = [C U_h, Kr]                    (..., H, Tk, Dc + Dr)    V_h = C W_h    (..., H, Tk, Dv)
    O_h = attention([Qc_h, Qr_h], K_h, V_h),  scale 1/√(Dc + Dr)

A cache keeps the latent C (..., Tk, R), a projection of X, and Kr (..., Tk, Dr), which `rotary` has
turned, for all heads: a rotation between Q and U would stand in the way of the absorbed form,

    S_h = Qc_h (C U_h)ᵀ = (Qc_h U_hᵀ) Cᵀ,   P_h V_h = (P_h C) W_h

With U absorbed into the query and W into the output, all heads share keys [C, Kr] and values C: for
decoding, where Tq is small, nothing of size Tk is expanded. Gradients, of either form:

    dC = Σ_h dK_h U_hᵀ + dV_h W_hᵀ       dU_h = Cᵀ dK_h       dW_h = Cᵀ dV_h       dKr = Σ_h dKr_h

Source: DeepSeek-AI 2024, "DeepSeek-V2", section 2.1.2 and 2.1.3, eq. 9 to 19.
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.kernels.attention import AttentionCache, attention, attention_backward
from npattn.kernels.floats import quiet
from npattn.kernels.sums import unbroadcast
from npattn.kernels.shapes import require_shapes


class LatentParams(NamedTuple):
    """What latent_attention learns. The gradient has the same type."""

    U: np.ndarray  # (H, R, Dc) from the latent to each head's keys
    W: np.ndarray  # (H, R, Dv) and to its values


class LatentCache(NamedTuple):
    """What the backwards read. attended.P is also what a heatmap draws."""

    args: tuple               # Qc, Qr, C, Kr, params as given
    mixed: np.ndarray | None  # (..., H, Tq, R) P C, of the absorbed form
    attended: AttentionCache


def latent_attention(
    Qc, Qr, C, Kr, params, mask=None, *, scale=None
) -> tuple[np.ndarray, LatentCache]:
    """Attention of H heads whose keys and values are expanded from the latent.

    Qc      (..., H, Tq, Dc)  the part of the queries that asks for content
    Qr      (..., H, Tq, Dr)  the part that asks for positions, turned by `rotary`
    C       (..., Tk, R)      the latent
    Kr      (..., Tk, Dr)     the keys' positions, turned by `rotary`
    params  LatentParams
    mask    bool, broadcastable to (..., H, Tq, Tk)
    scale   None means 1/√(Dc + Dr)

    Returns O (..., H, Tq, Dv) and the cache. Raises ValueError if shapes disagree.

    >>> Q, C, I = np.zeros((1, 1, 2)), np.array([[1.0, 2.0], [3.0, 6.0]]), np.eye(2)[None]
    >>> latent_attention(Q, Q, C, C, LatentParams(I, I))[0].tolist()
    [[[2.0, 4.0]]]
    """
    scale = _require(Qc, Qr, C, Kr, params, scale)
    latent = C[..., None, :, :]
    K = latent @ params.U
    shared = np.broadcast_to(Kr[..., None, :, :], (*K.shape[:-1], Kr.shape[-1]))
    Q, K = np.concatenate([Qc, Qr], axis=-1), np.concatenate([K, shared], axis=-1)
    O, attended = attention(Q, K, latent @ params.W, mask, scale=scale)
    return O, LatentCache((Qc, Qr, C, Kr, params), None, attended)


@quiet
def latent_attention_backward(dO, cache: LatentCache) -> tuple:
    """dQc, dQr, dC, dKr and dparams from dO (..., H, Tq, Dv)."""
    Qc, Qr, C, Kr, (U, W) = cache.args
    dQ, dK, dV = attention_backward(dO, cache.attended)
    dQc, dQr = np.split(dQ, [Qc.shape[-1]], axis=-1)
    dK, dKr = np.split(dK, [Qc.shape[-1]], axis=-1)
    # K = C U, V = C W
    dC = (dK @ _turn(U) + dV @ _turn(W)).sum(axis=-3)
    dU, dW = (unbroadcast(_turn(C)[..., None, :, :] @ dX, X.shape) for dX, X in ((dK, U), (dV, W)))
    return dQc, dQr, dC, dKr.sum(axis=-3), LatentParams(dU, dW)


def latent_attention_absorbed(
    Qc, Qr, C, Kr, params, mask=None, *, scale=None
) -> tuple[np.ndarray, LatentCache]:
    """The same as `latent_attention` but for rounding, with nothing expanded: for few queries."""
    scale = _require(Qc, Qr, C, Kr, params, scale)
    Q = np.concatenate([Qc @ _turn(params.U), Qr], axis=-1)
    K, V = np.concatenate([C, Kr], axis=-1)[..., None, :, :], C[..., None, :, :]  # one head for all
    mixed, attended = attention(Q, K, V, mask, scale=scale)
    return mixed @ params.W, LatentCache((Qc, Qr, C, Kr, params), mixed, attended)


@quiet
def latent_attention_absorbed_backward(dO, cache: LatentCache) -> tuple:
    """dQc, dQr, dC, dKr and dparams from dO (..., H, Tq, Dv)."""
    (Qc, Qr, C, Kr, (U, W)), mixed, attended = cache
    require_shapes("dO =... H Tq Dv, PC ... H Tq R, W H R Dv", dO, mixed, W)
    dW = unbroadcast(_turn(mixed) @ dO, W.shape)  # O = (P C) W
    dQ, dK, dV = attention_backward(dO @ _turn(W), attended)
    # Q = [Qc Uᵀ, Qr], K = [C, Kr], V = C
    dQu, dQr = np.split(dQ, [C.shape[-1]], axis=-1)
    dC, dKr = np.split(dK.sum(axis=-3), [C.shape[-1]], axis=-1)
    dU = unbroadcast(_turn(dQu) @ Qc, U.shape)
    return dQu @ U, dQr, dC + dV.sum(axis=-3), dKr, LatentParams(dU, dW)


def _require(Qc, Qr, C, Kr, params, scale):
    require_shapes("Qc =... H Tq Dc, Qr ... H Tq Dr", Qc, Qr)
    require_shapes("C =... Tk R, Kr ... Tk Dr", C, Kr)
    require_shapes("Qc ... H Tq Dc, Qr ... H Tq Dr, C ... Tk R, Kr ... Tk Dr, U H R Dc, W H R Dv",
                   Qc, Qr, C, Kr, *params)
    return 1.0 / math.sqrt(Qc.shape[-1] + Qr.shape[-1]) if scale is None else scale


def _turn(X):
    return X.swapaxes(-1, -2)
