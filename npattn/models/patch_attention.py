"""Attention on feature maps, inside patches and across them, as CAT alternates them.

A feature map X (..., H, W, C) falls into N = HW/P² patches of P × P pixels.

    inner   (..., N, P², C)   tokens are the pixels of one patch, C wide: local
    cross   (..., C, N, P²)   tokens are the patches of one channel, P² wide: global

Both are multi-head attention on other tokens. Plain attention over all pixels spends 2 (HW)² C
multiply-adds on scores and averages; inner attention P²/HW of that, cross attention 1/P².
The relative position bias that the authors add to the inner scores is left out.
Source: Lin et al. 2021, "CAT: Cross Attention in Vision Transformer", section 3.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.floats import quiet
from npattn.kernels.options import require_counts
from npattn.kernels.shapes import Shape, require_shapes
from npattn.models.config import CAT, options_of
from npattn.models.multihead import MultiHeadCache, self_attention, self_attention_backward


class PatchAttentionCache(NamedTuple):
    """What the backward of inner_ and cross_patch_attention reads."""

    multihead: MultiHeadCache
    shape: tuple  # of X
    patch: int    # P


def to_patches(X, P):
    """(..., H, W, C) as patches of P × P pixels, (..., N, P², C), row by row.

    It only moves numbers, and `from_patches` moves them back: each is the other's inverse and
    adjoint, hence its backward. Raises ValueError if P does not divide H and W.
    """
    require_floats(X=X)
    require_counts(None, patch=P)
    if X.ndim < 3 or P < 1 or X.shape[-3] % P or X.shape[-2] % P:
        raise ValueError(f"X must be (..., H, W, C) with H and W divisible by P={P}, got {X.shape}")
    *leading, H, W, C = X.shape
    tiles = X.reshape(*leading, H // P, P, W // P, P, C).swapaxes(-4, -3)
    return tiles.reshape(*leading, H * W // P**2, P**2, C)


def from_patches(patches, P, shape):
    """(..., N, P², C) put back in place, (..., H, W, C), the given shape."""
    *leading, H, W, C = shape
    tiles = patches.reshape(*leading, H // P, W // P, P, P, C).swapaxes(-4, -3)
    return tiles.reshape(shape)


@quiet
def inner_patch_attention(X, params, *, patch, rng=None, options=None, **changes):
    """Every pixel hears the pixels of its own patch.

    X       (..., H, W, C)
    params  MultiHeadParams of width C
    patch   P, the side of a patch, which must divide H and W
    rng     Generator for dropout, or None
    options, changes  BlockOptions, and keywords of it; one head unless told otherwise

    Returns Y (..., H, W, C) and the cache; its weights, multihead.P, are (..., N, heads, P², P²).
    """
    T, o = to_patches(X, patch), options_of(options or CAT, changes)
    O, multihead = self_attention(T, params, **o.self_attended(rng))
    return from_patches(O, patch, X.shape), PatchAttentionCache(multihead, X.shape, patch)


@quiet
def inner_patch_attention_backward(dY, cache: PatchAttentionCache):
    """dX and dparams from dY: patches cut, attention undone, patches put back."""
    multihead, shape, P = cache
    require_shapes("dY =... H W C, X ... H W C", dY, Shape(shape))
    dT, dparams = self_attention_backward(to_patches(dY, P), multihead)
    return from_patches(dT, P, shape), dparams


@quiet
def cross_patch_attention(X, params, *, patch, rng=None, options=None, **changes):
    """Every patch hears the other patches, in each channel by itself.

    X       (..., H, W, C)
    params  MultiHeadParams of width P², shared by all channels
    patch, rng, options, changes  as in `inner_patch_attention`

    Returns Y (..., H, W, C) and the cache; its weights, multihead.P, are (..., C, heads, N, N).
    """
    T, o = np.moveaxis(to_patches(X, patch), -1, -3), options_of(options or CAT, changes)
    O, multihead = self_attention(T, params, **o.self_attended(rng))
    Y = from_patches(np.moveaxis(O, -3, -1), patch, X.shape)
    return Y, PatchAttentionCache(multihead, X.shape, patch)


@quiet
def cross_patch_attention_backward(dY, cache: PatchAttentionCache):
    """dX and dparams from dY: the same path back, channels in front of the patches."""
    multihead, shape, P = cache
    require_shapes("dY =... H W C, X ... H W C", dY, Shape(shape))
    dO = np.moveaxis(to_patches(dY, P), -1, -3)
    dT, dparams = self_attention_backward(dO, multihead)
    return from_patches(np.moveaxis(dT, -3, -1), P, shape), dparams


def attention_cost(kind, H, W, C, *, patch=None):
    """Multiply-adds of one forward: the four projections, the scores and the averages.

    kind     "plain" (every pixel to every pixel), "inner" or "cross"
    H, W, C  size of the feature map
    patch    P, the side of a patch, for "inner" and "cross"

        plain  4 HW C²  + 2 (HW)² C
        inner  4 HW C²  + 2 P² HW C
        cross  4 P² HW C + 2 (HW)² C / P²

    Returns an integer. Softmax, biases, norms and the feed-forward network are not counted.
    """
    if kind == "plain":
        batch, T, D = 1, H * W, C
    elif kind in ("inner", "cross"):
        N, pixels, channels = to_patches(np.broadcast_to(0.0, (H, W, C)), patch).shape
        batch, T, D = (N, pixels, channels) if kind == "inner" else (channels, N, pixels)
    else:
        raise ValueError(f'kind must be "plain", "inner" or "cross", got {kind!r}')
    return batch * (4 * T * D**2 + 2 * T**2 * D)
