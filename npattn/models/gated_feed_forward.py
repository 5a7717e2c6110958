"""The feed-forward network whose hidden layer is gated, and the plain one, by their parameters.

    with a gate      Y = (act(X Wg + bg) ⊙ (X Wu + bu)) Wd + bd   "swiglu", "geglu", "geglu_tanh"
    without a gate   Y = act(X Wu + bu) Wd + bd                   "gelu", "gelu_tanh", "relu"

X (..., T, D), hidden (..., T, F), Y (..., T, D); each position by itself.
Source: Shazeer 2020, "GLU Variants Improve Transformer", eq. 6; Vaswani et al. 2017, section 3.3.
"""

from typing import Any, NamedTuple

from npattn.kernels.gated import (
    geglu, geglu_backward, geglu_tanh, geglu_tanh_backward, swiglu, swiglu_backward,
)
from npattn.kernels.options import require_choice
from npattn.models.feed_forward import ACTIVATIONS
from npattn.models.projection import project, project_backward

GATES = {
    "swiglu": (swiglu, swiglu_backward),
    "geglu": (geglu, geglu_backward),
    "geglu_tanh": (geglu_tanh, geglu_tanh_backward),
}


class GatedParams(NamedTuple):
    """What gated_feed_forward learns. The gradient has the same type."""

    gate: tuple | None  # W (D, F), of a kind that `project` takes; None: no gate, a plain network
    up: tuple           # W (D, F)
    down: tuple         # W (F, D)


class GatedCache(NamedTuple):
    """What gated_feed_forward_backward reads."""

    gate: Any
    up: Any
    activation: str
    activated: Any
    down: Any


def gated_feed_forward(X, params, *, activation="swiglu"):
    """Widen, let a gate choose, narrow: each position by itself.

    X           (..., T, D)
    params      GatedParams
    activation  "swiglu", "geglu" or "geglu_tanh"; without a gate "gelu", "gelu_tanh" or "relu"

    Returns Y (..., T, D) and the cache. Raises ValueError for an unknown activation.
    """
    require_choice("activation", activation, ACTIVATIONS if params.gate is None else GATES)
    A, gate = (None, None) if params.gate is None else project(X, params.gate)
    U, up = project(X, params.up)
    H, activated = (
        ACTIVATIONS[activation][0](U) if A is None else GATES[activation][0](A, U)
    )
    Y, down = project(H, params.down)
    return Y, GatedCache(gate, up, activation, activated, down)


def gated_feed_forward_backward(dY, cache):
    """dX and dparams from dY: the forward's calls, undone in reverse."""
    dH, ddown = project_backward(dY, cache.down)
    if cache.gate is None:
        dU = ACTIVATIONS[cache.activation][1](dH, cache.activated)
        dX, dup = project_backward(dU, cache.up)
        return dX, GatedParams(None, dup, ddown)
    dA, dU = GATES[cache.activation][1](dH, cache.activated)
    dXa, dgate = project_backward(dA, cache.gate)
    dXu, dup = project_backward(dU, cache.up)
    return dXa + dXu, GatedParams(dgate, dup, ddown)
