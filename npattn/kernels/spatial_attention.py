"""Attention over the places of an image: a map that says where to look, for all channels alike.

    Z = [mean of X, max of X] over the channels      (..., H, W, 2)
    G = Z convolved with a (k, k, 2) kernel, + b     (..., H, W)      zeros around the image
    Y = σ(G) ⊙ X                                     (..., H, W, C)

    dX = σ(G) ⊙ dY + dZ_mean / C + dZ_max at the channel that had the maximum
    dkernel = Σ over places of dG ⊙ the patch of Z around each        dG = σ (1 − σ) Σ_c dY ⊙ X

The second half of CBAM: `channel_attention(X, params, use_max=True)` says what, this page where.
Source: Woo et al. 2018, "CBAM: Convolutional Block Attention Module", section 3, eq. 3; k = 7.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.channel_attention import sigmoid
from npattn.kernels.floats import quiet
from npattn.kernels.options import require_counts, require_generator
from npattn.kernels.shapes import require_shapes


class SpatialParams(NamedTuple):
    """What spatial_attention learns. The gradient has the same type."""

    kernel: np.ndarray  # (k, k, 2) for the mean and the maximum, k odd
    b: np.ndarray       # (1,)


class SpatialCache(NamedTuple):
    """What spatial_attention_backward reads. gate is also what a heatmap draws."""

    X: np.ndarray        # (..., H, W, C)
    gate: np.ndarray     # (..., H, W) σ(G)
    top: np.ndarray      # (..., H, W, C) share of each channel in its place's maximum
    patches: np.ndarray  # (..., H, W, k, k, 2) the surroundings of each place in Z
    params: SpatialParams


def init_spatial_attention(rng, *, k=7, dtype=np.float64) -> SpatialParams:
    """A kernel of small normal numbers, bias 0."""
    require_counts(1, k=k)
    require_generator(rng, dtype)
    kernel = rng.normal(0.0, 1.0 / k, (k, k, 2)).astype(dtype)
    return SpatialParams(kernel, np.zeros(1, dtype))


@quiet
def spatial_attention(X, params) -> tuple[np.ndarray, SpatialCache]:
    """Every place of an image, as much of it as its surroundings call for.

    X       (..., H, W, C)  images, channels last
    params  SpatialParams

    Returns Y, shaped like X, and the cache. Raises ValueError if shapes disagree or k is even.

    >>> params = SpatialParams(np.ones((1, 1, 2)), np.zeros(1))
    >>> spatial_attention(np.log([[[3.0, 1.0]]]), params)[1].gate.round(4).tolist()
    [[0.8386]]
    """
    require_shapes("X ... H W C, kernel k k two, b one", X, *params)
    k = len(params.kernel)
    if params.kernel.shape[-1] != 2 or k % 2 == 0 or len(params.b) != 1 or 0 in X.shape[-3:]:
        raise ValueError(f"kernel {params.kernel.shape} must be (k, k, 2) with k odd, b (1,), and "
                         f"X {X.shape} must have a place and a channel")
    top = (X.real == X.real.max(axis=-1, keepdims=True)).astype(X.real.dtype)
    top /= top.sum(axis=-1, keepdims=True)
    Z = np.stack([X.mean(axis=-1), (top * X).sum(axis=-1)], axis=-1)
    patches = np.lib.stride_tricks.sliding_window_view(_pad(Z, k // 2), (k, k), axis=(-3, -2))
    patches = np.moveaxis(patches, -3, -1)
    gate = sigmoid(np.tensordot(patches, params.kernel, 3) + params.b)
    return gate[..., None] * X, SpatialCache(X, gate, top, patches, params)


@quiet
def spatial_attention_backward(dY, cache: SpatialCache) -> tuple:
    """dX and dparams from dY (..., H, W, C)."""
    X, gate, top, patches, (kernel, _) = cache
    C, k = X.shape[-1], len(kernel)
    require_shapes("dY =... H W C, X ... H W C", dY, X)
    # Y = σ(G) ⊙ X
    dG = (dY * X).sum(axis=-1) * gate * (1.0 - gate)
    # G = patches · kernel + b
    dkernel = np.tensordot(dG, patches, dG.ndim)
    # each place gets from all patches it lies in: the same convolution with the kernel turned
    around = np.lib.stride_tricks.sliding_window_view(
        _pad(dG[..., None], k // 2)[..., 0], (k, k), axis=(-2, -1)
    )
    dZ = np.tensordot(around, kernel[::-1, ::-1], 2)
    # Z = [mean, max]
    dX = gate[..., None] * dY + dZ[..., :1] / C + top * dZ[..., 1:]
    return dX, SpatialParams(dkernel, dG.sum().reshape(1))


def _pad(Z, n):
    """Zeros around (..., H, W, m), n on each side of H and W."""
    return np.pad(Z, [(0, 0)] * (Z.ndim - 3) + [(n, n), (n, n), (0, 0)])
