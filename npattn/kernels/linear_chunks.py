"""Linear attention in chunks of C tokens: a few products of matrices instead of C steps.

γ_i = Σ_{t ≤ i} log_decay_t counts from the chunk's first token, S is the state before it, and
⟨X, K⟩_ij = Σ_d X_id K_jd e^(γ_id − γ_jd) is how token i finds key j after the decay between them:

    W = ⟨Q, K⟩ for j ≤ i,  A = ⟨K, K⟩ for j < i     (C, C)
    E = V − (K e^γ) S                               (C, Dv)   without β: U = V
    U = (I + β A)⁻¹ β E                             (C, Dv)   what each token writes
    O = ((Q e^γ) S + W U) · scale                   (C, Dv)
    S' = e^(γ_C) S + (K e^(γ_C − γ))ᵀ U             (Dk, Dv)  the state after the chunk

The recurrence within a chunk has become a triangular system. Its backward, with R = (I + β A)⁻ᵀ dU:

    dV = dE = β R,   dA = −dV Uᵀ,   dβ = Σ R ⊙ (E − A U)

γ_i only ever comes as e^γ with a row i of Q or K, or as e^−γ with a row of K, so its gradient is
the row times the gradient of the row, with that sign; and dlog_decay_t = Σ_{i ≥ t} dγ_i.
Source: Yang et al. 2024, "Parallelizing Linear Transformers with the Delta Rule", section 3.2;
"Gated Delta Networks", section 3.3; Yang et al. 2023 (GLA), section 4 and appendix.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.sums import unbroadcast
from npattn.kernels.floats import half_in, half_out
from npattn.kernels.linear_state import (
    decayed_products, products_gradients, decays, linear_gradients, require_linear,
    require_upstream, turn,
)
from npattn.kernels.options import require_counts


class LinearChunksCache(NamedTuple):
    """What linear_attention_in_chunks_backward reads."""

    args: tuple   # Q, K, V, gates, state as given
    chunks: list  # for each (rows, S, U): its tokens, the state before, what was written
    scale: float
    half: np.dtype | None = None  # float16 or bfloat16 where the arguments came as such


@half_in
def linear_attention_in_chunks(
    Q, K, V, gates, state, *, scale=None, chunk=32
) -> tuple[tuple, LinearChunksCache]:
    """The same as `linear_attention`, but for rounding.

    chunk  tokens that are computed together, ≥ 1
    Q, K, V, gates, state, scale  as in `linear_attention`, and so is what is returned and raised

    >>> from npattn.kernels.linear_state import Gates, empty_state
    >>> K, V = np.ones((3, 1)), np.array([[1.0], [2.0], [4.0]])
    >>> (O, S), _ = linear_attention_in_chunks(K, K, V, Gates(), empty_state(K, V), chunk=2)
    >>> O.ravel().tolist()
    [1.0, 3.0, 7.0]
    """
    require_counts(1, chunk=chunk)
    scale = require_linear(Q, K, V, gates, state, scale)
    S, chunks, O = state, [], []
    for start in range(0, Q.shape[-2], chunk):
        rows = slice(start, start + chunk)
        q, k, v, g, b = _rows(rows, Q, K, V, *gates)
        U = v
        if b is not None:
            I, A = np.eye(k.shape[-2], dtype=k.dtype), decayed_products(k, k, decays(g, -1))
            U = np.linalg.solve(I + b * A, b * (v - (k * np.exp(g)) @ S))
        O.append(((q * np.exp(g)) @ S + decayed_products(q, k, decays(g, 0)) @ U) * scale)
        chunks.append((rows, S, U))
        S = np.exp(turn(g[..., -1:, :])) * S + turn(k * np.exp(g[..., -1:, :] - g)) @ U
    return (np.concatenate(O, axis=-2), S), LinearChunksCache(
        (Q, K, V, gates, state), chunks, scale
    )


@half_out
def linear_attention_in_chunks_backward(dY, cache: LinearChunksCache) -> tuple:
    """dQ, dK, dV, dgates and dstate from dY = (dO, dstate after the last token)."""
    require_upstream(dY, cache.args)
    (Q, K, V, gates, _), (dO, dS), gradients = cache.args, dY, []
    for rows, S, U in reversed(cache.chunks):
        tokens = _rows(rows, Q, K, V, *gates)
        *gradient, dS = _chunk_backward(dO[..., rows, :] * cache.scale, dS, S, U, *tokens)
        gradients.append(gradient)
    columns = (np.concatenate(X[::-1], axis=-2) for X in zip(*gradients))
    return linear_gradients(cache.args, *columns, dS)


def _chunk_backward(dO, dS, S, U, q, k, v, g, b):
    """dq, dk, dv, dlog_decay, dβ of a chunk's tokens and dS before it, from dS after it."""
    shape, last = (*S.shape[:-2], *k.shape[-2:]), g[..., -1:, :]
    up, down, past, upto = np.exp(g), np.exp(last - g), decays(g, -1), decays(g, 0)
    # S' = e^(γ_C) S + (K e^(γ_C − γ))ᵀ U
    dU, kept = (k * down) @ dS, turn(np.exp(last)) * dS
    lowered = (U @ turn(dS)) * down
    dlast = (k * lowered).sum(-2, keepdims=True) + turn((kept * S).sum(-1, keepdims=True))
    # O = ((Q e^γ) S + W U) · scale
    dU = dU + unbroadcast(turn(decayed_products(q, k, upto)) @ dO, dU.shape)
    to_row, to_column = products_gradients(dO @ turn(U), q, k, upto)
    dq, dS = to_row + (dO @ turn(S)) * up, kept + unbroadcast(turn(q * up) @ dO, S.shape)
    lowered, raised = lowered + unbroadcast(to_column, shape), 0.0
    dv, db = dU, np.zeros_like(dU)
    if b is not None:
        # (I + β A) U = β E, E = V − (K e^γ) S
        A = decayed_products(k, k, past)
        R = np.linalg.solve(turn(np.eye(k.shape[-2], dtype=k.dtype) + b * A), dU)
        dv, db = b * R, R * (v - (k * up) @ S - A @ U)
        to_row, to_column = products_gradients(-dv @ turn(U), k, k, past)
        raised, lowered = to_row - (dv @ turn(S)) * up, lowered + to_column
        dS = dS - turn(k * up) @ dv
    dg = unbroadcast(q * dq, shape) + k * (raised - lowered)
    dg[..., -1:, :] += dlast
    return dq, raised + lowered, dv, np.flip(np.cumsum(np.flip(dg, -2), -2), -2), db, dS


def _rows(rows, Q, K, V, log_decay, beta):
    """The chunk's q, k, v, γ and β."""
    q, k, v, g, b = (X if X is None else X[..., rows, :] for X in (Q, K, V, log_decay, beta))
    return q, k, v, np.zeros_like(k[..., :1]) if g is None else np.cumsum(g, axis=-2), b
