"""Patch embedding: an image as a sequence of vectors, one for each square of pixels.

    images (..., C, H, W)  →  patches (..., N, P²·C)  →  Y = patches W + b (..., N, D)

N = HW/P² patches, row by row. A patch is read pixel by pixel, each with its C channels. This is
the convolution with a kernel of P × P and a stride of P: W[(p, q, c), d] = kernel[d, c, p, q].
Source: Dosovitskiy et al. 2021, "An Image Is Worth 16×16 Words", eq. 1; d2l 11.8.2.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.floats import quiet
from npattn.kernels.linear import LinearCache, init_linear, linear, linear_backward
from npattn.models.patch_attention import from_patches, to_patches


class PatchEmbeddingCache(NamedTuple):
    """What patch_embedding_backward reads."""

    linear: LinearCache
    patch: int
    shape: tuple[int, int, int]  # C, H, W


def init_patch_embedding(C, P, D, rng, *, dtype=np.float64):
    """LinearParams, Glorot-uniform, for patches of P × P pixels with C channels."""
    return init_linear(P * P * C, D, rng, dtype=dtype)


@quiet
def patch_embedding(X, params, *, patch):
    """A vector for each patch.

    X       (..., C, H, W)  images, channels first
    params  LinearParams: W (P²·C, D), b (D,) or None
    patch   P, the side of a patch, which must divide H and W

    Returns Y (..., HW/P², D) and the cache.
    Raises ValueError if P does not divide H and W, or W does not fit the patches.
    """
    require_floats(X=X)
    if X.ndim < 3 or patch < 1 or X.shape[-2] % patch or X.shape[-1] % patch:
        raise ValueError(
            f"X must be (..., C, H, W) with H and W divisible by patch={patch}, got {X.shape}"
        )
    pixels = to_patches(np.moveaxis(X, -3, -1), patch)
    Y, cache = linear(pixels.reshape(*pixels.shape[:-2], patch**2 * X.shape[-3]), params)
    return Y, PatchEmbeddingCache(cache, patch, X.shape[-3:])


@quiet
def patch_embedding_backward(dY, cache: PatchEmbeddingCache):
    """dX and dparams from dY (..., N, D): the patches put back in place."""
    drows, dparams = linear_backward(dY, cache.linear)
    (C, H, W), P = cache.shape, cache.patch
    dpixels = drows.reshape(*drows.shape[:-1], P * P, C)
    dX = from_patches(dpixels, P, (*drows.shape[:-2], H, W, C))
    return np.moveaxis(dX, -1, -3), dparams
