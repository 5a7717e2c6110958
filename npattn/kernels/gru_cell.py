"""The gated recurrent unit: one step.

    R = σ(X Wxr + H Whr + br)                 reset gate      (..., Dh)
    Z = σ(X Wxz + H Whz + bz)                 update gate     (..., Dh)
    C = tanh(X Wxc + (R ⊙ H) Whc + bc)        candidate       (..., Dh)   reset="before"
    C = tanh(X Wxc + R ⊙ (H Whc + b′) + bc)   candidate       (..., Dh)   reset="after"
    H′ = Z ⊙ H + (1 − Z) ⊙ C                  new state       (..., Dh)

`...` stands for any leading axes (batch). The papers and d2l's equations reset the state before
the product; torch and cuDNN reset the product, so that one product serves all three gates. The
columns of W are those of R, Z, C in this order, as torch stacks them.
Source: Cho et al. 2014, "Learning Phrase Representations using RNN Encoder–Decoder", section 2.3;
d2l 10.2 (Chinese edition 9.1).
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.linear import (
    LinearCache, LinearParams, init_linear, linear, linear_backward,
)
from npattn.kernels.options import require_choice
from npattn.kernels.shapes import require_shapes

RESETS = "before", "after"


class GRUParams(NamedTuple):
    """What a GRU learns. The gradient has the same type."""

    input: LinearParams   # W (D, 3·Dh), b (3·Dh,) or None: [R, Z, C]
    hidden: LinearParams  # W (Dh, 3·Dh), b (3·Dh,) or None, which only reset="after" needs


class GRUStep(NamedTuple):
    """What one step leaves behind, or all steps along an axis T in front of the last."""

    H: np.ndarray  # (..., Dh) the state before
    R: np.ndarray  # (..., Dh)
    Z: np.ndarray  # (..., Dh)
    C: np.ndarray  # (..., Dh)
    U: np.ndarray  # (..., Dh) the state's share of C, before tanh and any later reset


class GRUCache(NamedTuple):
    """What gru_cell_backward and gru_backward read."""

    input: LinearCache
    steps: GRUStep
    hidden: LinearParams
    reset: str


def init_gru(D, Dh, rng, *, hidden_bias=False, dtype=np.float64):
    """Glorot-uniform for each gate, biases 0."""
    def gates(Din, bias):
        W = np.hstack([init_linear(Din, Dh, rng, dtype=dtype).W for _ in "RZC"])
        return LinearParams(W, np.zeros(3 * Dh, dtype) if bias else None)

    return GRUParams(gates(D, True), gates(Dh, hidden_bias))


@quiet
def gru_cell(X, H, params, *, reset="before"):
    """The state after one more input.

    X       (..., D)   input
    H       (..., Dh)  state
    params  GRUParams
    reset   "before" or "after": where the reset gate acts, see above

    Returns the new state (..., Dh) and the cache.
    Raises ValueError if shapes disagree or for another reset.
    """
    require_gru("X ... D", X, H, params, reset)
    G, input_cache = linear(X, params.input)
    Y, step = gru_step(G, H, params.hidden, reset)
    return Y, GRUCache(input_cache, step, params.hidden, reset)


@quiet
def gru_cell_backward(dY, cache: GRUCache):
    """dX, dH and dparams from dY (..., Dh)."""
    require_shapes("dY =... Dh, H ... Dh", dY, cache.steps.H)
    dG, dF, dH = gru_step_gradients(dY, cache.steps, cache.hidden, cache.reset)
    dX, dinput = linear_backward(dG, cache.input)
    return dX, dH, GRUParams(dinput, hidden_gradient(dF, cache))


def gru_step(G, H, hidden, reset, keep=None):
    """The new state and a GRUStep, from the input's share G (..., 3·Dh) of the gates."""
    Dh = H.shape[-1]
    gates, candidate = _parts(hidden)
    A = G[..., : 2 * Dh] + linear(H, gates)[0]
    RZ = 0.5 * (1.0 + np.tanh(0.5 * A))  # σ, without overflow
    R, Z = RZ[..., :Dh], RZ[..., Dh:]
    if keep is not None:
        Z = np.where(keep, Z, 1.0)  # an update gate at 1 lets nothing in
    U, _ = linear(R * H if reset == "before" else H, candidate)
    C = np.tanh(G[..., 2 * Dh :] + (U if reset == "before" else R * U))
    return Z * H + (1.0 - Z) * C, GRUStep(H, R, Z, C, U)


def gru_step_gradients(dY, step, hidden, reset):
    """dG, dF and dH, F being the state's share of the gates; σ′ = σ (1 − σ), tanh′ = 1 − tanh²."""
    H, R, Z, C, U = step
    gates, candidate = _parts(hidden)
    # H′ = Z ⊙ H + (1 − Z) ⊙ C
    dH, dZ = dY * Z, dY * (H - C)
    da = dY * (1.0 - Z) * (1.0 - C * C)
    if reset == "before":  # C = tanh(Gc + U),  U = (R ⊙ H) Whc
        dU = da
        dRH = dU @ candidate.W.T
        dR, dH = dRH * H, dH + dRH * R
    else:  # C = tanh(Gc + R ⊙ U),  U = H Whc
        dU, dR = da * R, da * U
        dH = dH + dU @ candidate.W.T
    # R = σ(…),  Z = σ(…)
    dRZ = np.concatenate([dR * R * (1.0 - R), dZ * Z * (1.0 - Z)], axis=-1)
    dH = dH + dRZ @ gates.W.T
    return np.concatenate([dRZ, da], axis=-1), np.concatenate([dRZ, dU], axis=-1), dH


def hidden_gradient(dF, cache):
    """The gradient of `hidden`, a sum over batch and steps."""
    H, R, *_ = cache.steps
    Dh = H.shape[-1]
    A = R * H if cache.reset == "before" else H
    gates, candidate = _parts(cache.hidden)
    _, dgates = linear_backward(dF[..., : 2 * Dh], LinearCache(H, gates))
    _, dcandidate = linear_backward(dF[..., 2 * Dh :], LinearCache(A, candidate))
    db = None if cache.hidden.b is None else np.hstack([dgates.b, dcandidate.b])
    return LinearParams(np.hstack([dgates.W, dcandidate.W]), db)


def _parts(hidden):
    """`hidden`'s columns for the two gates, and those for the candidate."""
    W, b = hidden
    n = 2 * len(W)
    b_gates, b_candidate = (None, None) if b is None else (b[:n], b[n:])
    return LinearParams(W[:, :n], b_gates), LinearParams(W[:, n:], b_candidate)


def require_gru(inputs, X, H, params, reset):
    """A state with the leading axes of the inputs, as wide as the parameters say."""
    (Win, _), (W, _) = params
    require_choice("reset", reset, RESETS)
    require_shapes(f"{inputs}, H =... Dh, input.W D G, hidden.W Dh G", X, H, Win, W)
    if W.shape[1] != 3 * W.shape[0]:
        raise ValueError(f"hidden.W {W.shape} must have {3 * len(W)} columns: [R, Z, C]")
