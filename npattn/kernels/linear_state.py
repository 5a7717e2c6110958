"""What linear attention carries from token to token, and what it may forget and correct.

    S ← α ⊙ S + kᵀ β (v − k (α ⊙ S))        α = exp(log_decay), one number for each row of S

A state S (..., Dk, Dv) is as large after a million tokens as after one. The pages
`linear_attention`, token by token, and `linear_chunks`, many tokens at once, share what is here.
Source: Yang et al. 2024, "Gated Delta Networks", eq. 10; ONNX operator LinearAttention.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.options import score_scale
from npattn.kernels.sums import unbroadcast
from npattn.kernels.shapes import require_shapes


class Gates(NamedTuple):
    """What linear attention forgets and corrects. The gradient has the same type."""

    log_decay: np.ndarray | None = None  # (..., T, Dk) or (..., T, 1), ≤ 0; None forgets nothing
    beta: np.ndarray | None = None       # (..., T, 1) in 0 … 1; None writes v as it comes


def empty_state(K, V) -> np.ndarray:
    """A state that holds nothing: zeros (..., Dk, Dv) for K (..., T, Dk) and V (..., T, Dv)."""
    leading = np.broadcast_shapes(K.shape[:-2], V.shape[:-2])
    return np.zeros((*leading, K.shape[-1], V.shape[-1]), np.result_type(K, V))


def linear_gradients(args, dQ, dK, dV, dg, db, dstate):
    """Sums over whatever shared a row: heads of a group, columns of one decay, values of one β."""
    Q, K, V, gates, state = args
    dgates = Gates(*(X if X is None else unbroadcast(d, X.shape) for d, X in zip((dg, db), gates)))
    dQ, dK, dV, dstate = map(unbroadcast, (dQ, dK, dV, dstate),
                             (Q.shape, K.shape, V.shape, state.shape))
    return dQ, dK, dV, dgates, dstate


def require_linear(Q, K, V, gates, state, scale):
    """The factor on the outputs. Raises ValueError and TypeError as `linear_attention` says."""
    gates = Gates(*gates)
    require_shapes(
        "Q ... T Dk, K ... T Dk, V ... T Dv, log_decay? ... T Dg, beta? ... T Db, state ... Dk Dv",
        Q, K, V, *gates, state,
    )
    leading = np.broadcast_shapes(*(X.shape[:-2] for X in (K, V, *gates) if X is not None))
    if state.shape[:-2] != leading or not Q.shape[-2]:
        raise ValueError(f"state {state.shape} must have the leading axes of K, V and gates, "
                         f"{leading}, and there must be a token; got Q {Q.shape}")
    for name, X, widths in zip(gates._fields, gates, ((1, K.shape[-1]), (1,))):
        if X is not None and X.shape[-1] not in widths:
            raise ValueError(f"{name} {X.shape} must be " + " or ".join(
                f"(..., T, {n})" for n in widths))
    return score_scale(scale, Q)


def require_upstream(dY, args):
    """The gradients of O and of the last state, shaped like them. Raises as `require_shapes`."""
    Q, K, V, _, state = args
    dO, dstate = dY
    require_shapes("dO =... T Dv, Q ... T Dk, V ... T Dv, state ... Dk Dv", dO, Q, V, state)
    require_shapes("dstate =... Dk Dv, state ... Dk Dv", dstate, state)


def turn(X):
    """Xᵀ in the last two axes."""
    return X.swapaxes(-1, -2)


def decays(g, diagonal):
    """e^(γ_i − γ_j) for j ≤ i + diagonal, else 0: (..., C, C, Dk), or (..., C, C, 1)."""
    before = np.tri(g.shape[-2], k=diagonal, dtype=bool)[..., None]
    return np.exp(np.where(before, g[..., :, None, :] - g[..., None, :, :], -np.inf))


def decayed_products(X, K, decay):
    """⟨X, K⟩_ij = Σ_d X_id K_jd e^(γ_id − γ_jd), (..., C, C): how i finds j after the decay."""
    if decay.shape[-1] == 1:
        return (X @ turn(K)) * decay[..., 0]
    return np.einsum("...id,...jd,...ijd->...ij", X, K, decay)


def products_gradients(dP, X, K, decay):
    """dX and dK from the gradient of ⟨X, K⟩."""
    if decay.shape[-1] == 1:
        dP = dP * decay[..., 0]
        return dP @ K, turn(dP) @ X
    return tuple(np.einsum(f"...ij,...ijd,...{i}d->...{o}d", dP, decay, Z)
                 for i, o, Z in (("j", "i", K), ("i", "j", X)))
