"""The position-wise feed-forward network: two linear layers, and an activation between.

    Y = act(X W₁ + b₁) W₂ + b₂                     X (..., T, D), hidden (..., T, F), Y (..., T, D)
    Y = (act(X W₃ + b₃) ⊙ (X W₁ + b₁)) W₂ + b₂     with a gate: SwiGLU where act is silu, GEGLU

The same at every position, and without a look at any other: in a block, only attention
moves information between positions.
Source: Vaswani et al. 2017, section 3.3; d2l 11.7.2 (PositionWiseFFN), 11.8.3 (ViTMLP); Shazeer
2020, "GLU Variants Improve Transformer".
"""

from typing import Any, NamedTuple

import numpy as np

from npattn.kernels.activations import (
    gelu, gelu_backward, gelu_tanh, gelu_tanh_backward, relu, relu_backward,
)
from npattn.kernels.floats import quiet
from npattn.kernels.gated import silu, silu_backward
from npattn.kernels.linear import LinearParams, init_linear
from npattn.kernels.options import require_choice
from npattn.models.projection import project, project_backward


class FeedForwardParams(NamedTuple):
    """What feed_forward learns. The gradient has the same type."""

    hidden: LinearParams  # W (D, F)
    output: LinearParams  # W (F, D)


class GatedFeedForwardParams(NamedTuple):
    """What feed_forward learns where it has a gate. The gradient has the same type."""

    hidden: LinearParams  # W (D, F)
    output: LinearParams  # W (F, D)
    gate: LinearParams    # W (D, F)


class FeedForwardCache(NamedTuple):
    """What feed_forward_backward reads."""

    hidden: Any           # of `project`, as output and gate
    activation: str
    activated: Any        # the activation's own cache
    output: Any
    gate: Any | None
    H: np.ndarray | None  # (..., F) where there is a gate: what it lets pass
    G: np.ndarray | None  # (..., F) the gate, activated


def _relu(X):
    Y = relu(X)
    return Y, Y


ACTIVATIONS = {
    "relu": (_relu, relu_backward),
    "gelu": (gelu, gelu_backward),
    "gelu_tanh": (gelu_tanh, gelu_tanh_backward),
    "silu": (silu, silu_backward),
}


def init_feed_forward(D, F, rng, *, gated=False, bias=True, dtype=np.float64):
    """Two Glorot-uniform layers, D to F and F to D; gated, one more from D to F."""
    options = dict(bias=bias, dtype=dtype)
    two = init_linear(D, F, rng, **options), init_linear(F, D, rng, **options)
    if gated:
        return GatedFeedForwardParams(*two, init_linear(D, F, rng, **options))
    return FeedForwardParams(*two)


@quiet
def feed_forward(X, params, *, activation="relu"):
    """Widen, activate, narrow: each position by itself.

    X           (..., T, D)
    params      FeedForwardParams: hidden W (D, F), output W (F, D); or with a gate W (D, F);
                each layer of a kind that `project` takes
    activation  "relu", "gelu", "gelu_tanh" or "silu"; where there is a gate, of the gate

    Returns Y (..., T, D) and the cache.
    Raises ValueError for an unknown activation or widths that disagree.
    """
    require_choice("activation", activation, ACTIVATIONS)
    activate, _ = ACTIVATIONS[activation]
    H, hidden_cache = project(X, params.hidden)
    gate_cache, kept = None, (None, None)
    if isinstance(params, GatedFeedForwardParams):
        U, gate_cache = project(X, params.gate)
        G, activated = activate(U)
        A, kept = G * H, (H, G)
    else:
        A, activated = activate(H)
    Y, output_cache = project(A, params.output)
    return Y, FeedForwardCache(
        hidden_cache, activation, activated, output_cache, gate_cache, *kept
    )


@quiet
def feed_forward_backward(dY, cache: FeedForwardCache):
    """dX and dparams from dY: the forward's calls, undone in reverse."""
    _, activate_backward = ACTIVATIONS[cache.activation]
    dA, doutput = project_backward(dY, cache.output)
    if cache.gate is None:
        dX, dhidden = project_backward(activate_backward(dA, cache.activated), cache.hidden)
        return dX, FeedForwardParams(dhidden, doutput)
    # A = act(U) ⊙ H
    dX, dhidden = project_backward(dA * cache.G, cache.hidden)
    dU = activate_backward(dA * cache.H, cache.activated)
    dX_gate, dgate = project_backward(dU, cache.gate)
    return dX + dX_gate, GatedFeedForwardParams(dhidden, doutput, dgate)
