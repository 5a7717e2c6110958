"""Attention over the channels of an image: squeeze, excite, and weigh whole channels.

    Z = mean of X over the places            (..., C)       squeeze: one number for each channel
    G = relu(Z W1 + b1) W2 + b2              (..., C)       excite: through a bottleneck of C / r
    Y = σ(G) ⊙ X                             (..., H, W, C) every place of a channel alike

    dX = σ(G) ⊙ dY + dZ / (H W)              dG = σ (1 − σ) ⊙ Σ_places dY ⊙ X

CBAM adds the maximum beside the mean, through the same two layers: G = f(mean) + f(max), and goes
on with `spatial_attention`. The gradient of a maximum goes to the place that had it; among equals
it is shared. No query asks here: the weights are a gate, each in 0 … 1, and do not sum to 1.
Source: Hu, Shen and Sun 2018, "Squeeze-and-Excitation Networks", section 3; Woo et al. 2018,
"CBAM: Convolutional Block Attention Module", section 3, eq. 2.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.activations import relu, relu_backward
from npattn.kernels.floats import quiet
from npattn.kernels.linear import (
    LinearCache, LinearParams, init_linear, linear, linear_backward,
)
from npattn.kernels.options import require_counts, require_flag
from npattn.kernels.shapes import require_shapes


class ChannelParams(NamedTuple):
    """What channel_attention learns. The gradient has the same type."""

    squeeze: LinearParams  # W (C, C/r)
    excite: LinearParams   # W (C/r, C)


class ChannelCache(NamedTuple):
    """What channel_attention_backward reads. gate is also what a drawing shows."""

    X: np.ndarray           # (..., H, W, C)
    gate: np.ndarray        # (..., 1, 1, C) σ(G)
    top: np.ndarray | None  # (..., H, W, C) share of each place in its channel's maximum
    squeezed: LinearCache
    hidden: np.ndarray      # (n, ..., C/r) n = 2 with the maximum, else 1
    excited: LinearCache


def init_channel_attention(C, rng, *, ratio=16, dtype=np.float64) -> ChannelParams:
    """A bottleneck of C / ratio channels, at least 1; weights Glorot-uniform."""
    require_counts(1, C=C, ratio=ratio)
    width = max(C // ratio, 1)
    return ChannelParams(
        init_linear(C, width, rng, dtype=dtype), init_linear(width, C, rng, dtype=dtype)
    )


@quiet
def channel_attention(X, params, *, use_max=False) -> tuple[np.ndarray, ChannelCache]:
    """Every channel of an image, as much of it as its content calls for.

    X        (..., H, W, C)  images, channels last
    params   ChannelParams
    use_max  False: squeeze-and-excitation; True: CBAM, with the maximum beside the mean

    Returns Y, shaped like X, and the cache. Raises ValueError if channels disagree.

    >>> params = ChannelParams(LinearParams(np.eye(2), None), LinearParams(np.eye(2), None))
    >>> X = np.log(np.array([3.0, 1.0])) * np.ones((2, 2, 2))
    >>> channel_attention(X, params)[1].gate.round(9).tolist()  # σ(log 3) and σ(0)
    [[[0.75, 0.5]]]
    """
    require_flag("use_max", use_max)
    require_shapes("X ... H W C, W1 C R, W2 R C", X, params.squeeze.W, params.excite.W)
    if not X.shape[-3] * X.shape[-2]:
        raise ValueError(f"X {X.shape} must have a place, to be (..., H, W, C)")
    Z, top = [X.mean(axis=(-3, -2))], None
    if use_max:
        peak = X.real.max(axis=(-3, -2), keepdims=True)
        top = (X.real == peak).astype(X.real.dtype)
        top /= top.sum(axis=(-3, -2), keepdims=True)
        Z.append((top * X).sum(axis=(-3, -2)))
    A, squeezed = linear(np.stack(Z), params.squeeze)
    hidden = relu(A)
    G, excited = linear(hidden, params.excite)
    gate = sigmoid(G.sum(axis=0))[..., None, None, :]
    return gate * X, ChannelCache(X, gate, top, squeezed, hidden, excited)


@quiet
def channel_attention_backward(dY, cache: ChannelCache) -> tuple:
    """dX and dparams from dY (..., H, W, C)."""
    X, gate, top, squeezed, hidden, excited = cache
    require_shapes("dY =... H W C, X ... H W C", dY, X)
    # Y = σ(G) ⊙ X, and G is the sum of what mean and maximum say
    dgate = (dY * X).sum(axis=(-3, -2), keepdims=True)
    dG = (dgate * gate * (1.0 - gate))[..., 0, 0, :]
    # G = relu(Z W1 + b1) W2 + b2
    dhidden, dexcite = linear_backward(np.broadcast_to(dG, (len(hidden), *dG.shape)), excited)
    dZ, dsqueeze = linear_backward(relu_backward(dhidden, hidden), squeezed)
    # Z = mean of X, and the maximum
    dX = gate * dY + dZ[0][..., None, None, :] / (X.shape[-3] * X.shape[-2])
    if top is not None:
        dX += top * dZ[1][..., None, None, :]
    return dX, ChannelParams(dsqueeze, dexcite)


@quiet
def sigmoid(X):
    """1 / (1 + e^−X), without a warning where e^−X overflows."""
    return 1.0 / (1.0 + np.exp(-X))
