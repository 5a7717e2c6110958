"""The position-wise feed-forward network: two linear layers, and an activation between.

    Y = act(X W₁ + b₁) W₂ + b₂      X (..., T, D), hidden (..., T, F), Y (..., T, D)

The same at every position, and without a look at any other: in a block, only attention
moves information between positions.
Source: Vaswani et al. 2017, section 3.3; d2l 11.7.2 (PositionWiseFFN), 11.8.3 (ViTMLP).
"""

from typing import Any, NamedTuple

import numpy as np

from npattn.kernels.activations import (
    gelu,
    gelu_backward,
    gelu_tanh,
    gelu_tanh_backward,
    relu,
    relu_backward,
)
from npattn.kernels.linear import (
    LinearCache,
    LinearParams,
    init_linear,
    linear,
    linear_backward,
)
from npattn.kernels.options import require_choice


class FeedForwardParams(NamedTuple):
    """What feed_forward learns. The gradient has the same type."""

    hidden: LinearParams  # W (D, F)
    output: LinearParams  # W (F, D)


class FeedForwardCache(NamedTuple):
    """What feed_forward_backward reads."""

    hidden: LinearCache
    activation: str
    activated: Any        # the activation's own cache
    output: LinearCache


def _relu(X):
    Y = relu(X)
    return Y, Y


ACTIVATIONS = {
    "relu": (_relu, relu_backward),
    "gelu": (gelu, gelu_backward),
    "gelu_tanh": (gelu_tanh, gelu_tanh_backward),
}


def init_feed_forward(D, F, rng, *, bias=True, dtype=np.float64):
    """Two Glorot-uniform layers, D to F and F to D."""
    return FeedForwardParams(
        init_linear(D, F, rng, bias=bias, dtype=dtype),
        init_linear(F, D, rng, bias=bias, dtype=dtype),
    )


def feed_forward(X, params, *, activation="relu"):
    """Widen, activate, narrow: each position by itself.

    X           (..., T, D)
    params      FeedForwardParams: hidden W (D, F), output W (F, D)
    activation  "relu", "gelu" or "gelu_tanh"

    Returns Y (..., T, D) and the cache.
    Raises ValueError for an unknown activation or widths that disagree.
    """
    require_choice("activation", activation, ACTIVATIONS)
    activate, _ = ACTIVATIONS[activation]
    H, hidden_cache = linear(X, params.hidden)
    A, activated = activate(H)
    Y, output_cache = linear(A, params.output)
    return Y, FeedForwardCache(hidden_cache, activation, activated, output_cache)


def feed_forward_backward(dY, cache):
    """dX and dparams from dY: the forward's calls, undone in reverse."""
    _, activate_backward = ACTIVATIONS[cache.activation]
    dA, doutput = linear_backward(dY, cache.output)
    dH = activate_backward(dA, cache.activated)
    dX, dhidden = linear_backward(dH, cache.hidden)
    return dX, FeedForwardParams(dhidden, doutput)
