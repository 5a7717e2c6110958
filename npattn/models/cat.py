"""The blocks of CAT: patch attention and a feed-forward network around residuals.

    block   G = X + attention(LN(X)),  Y = G + feed_forward(LN(G))      X, G, Y (..., H, W, C)
    cat     inner block → cross block → inner block

Norm and feed-forward network work on the C channels of each pixel, whatever the attention's
tokens are. Kernels composed, no new calculus.
Source: Lin et al. 2021, "CAT: Cross Attention in Vision Transformer", section 3, figure 3.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.layer_norm import (
    LayerNormCache,
    LayerNormParams,
    init_layer_norm,
    layer_norm,
    layer_norm_backward,
)
from npattn.kernels.options import require_choice
from npattn.models.feed_forward import (
    FeedForwardCache,
    FeedForwardParams,
    feed_forward,
    feed_forward_backward,
    init_feed_forward,
)
from npattn.models.multihead import MultiHeadParams, init_multihead
from npattn.models.patch_attention import (
    PatchAttentionCache,
    cross_patch_attention,
    cross_patch_attention_backward,
    inner_patch_attention,
    inner_patch_attention_backward,
)

ATTENTIONS = {
    "inner": (inner_patch_attention, inner_patch_attention_backward),
    "cross": (cross_patch_attention, cross_patch_attention_backward),
}
CAT_KINDS = "inner", "cross", "inner"


class CatBlockParams(NamedTuple):
    """What cat_block learns. The gradient has the same type."""

    attention_norm: LayerNormParams
    attention: MultiHeadParams  # of width C for "inner", P² for "cross"
    feed_forward_norm: LayerNormParams
    feed_forward: FeedForwardParams


class CatBlockCache(NamedTuple):
    """What cat_block_backward reads, in the order of the forward."""

    kind: str
    attention_norm: LayerNormCache
    attention: PatchAttentionCache
    feed_forward_norm: LayerNormCache
    feed_forward: FeedForwardCache


def init_cat_block(C, F, rng, *, kind, patch, bias=True, dtype=np.float64):
    """A block for C channels with a feed-forward network F wide; `kind` as in `cat_block`."""
    require_choice("kind", kind, ATTENTIONS)
    return CatBlockParams(
        init_layer_norm(C, dtype=dtype),
        init_multihead(C if kind == "inner" else patch**2, rng, bias=bias, dtype=dtype),
        init_layer_norm(C, dtype=dtype),
        init_feed_forward(C, F, rng, dtype=dtype),
    )


def cat_block(X, params, *, kind, patch, num_heads=1, kernel="attention"):
    """Patch attention, then each pixel by itself; both added to what they were given.

    X       (..., H, W, C)
    params  CatBlockParams
    kind    "inner" or "cross"
    patch, num_heads, kernel  as in `inner_patch_attention` and `cross_patch_attention`

    Returns Y (..., H, W, C) and the cache. Raises ValueError for another kind.
    """
    require_choice("kind", kind, ATTENTIONS)
    attend, _ = ATTENTIONS[kind]
    Z, attention_norm = layer_norm(X, params.attention_norm)
    A, attention = attend(Z, params.attention, patch=patch, num_heads=num_heads, kernel=kernel)
    G = X + A
    N, feed_forward_norm = layer_norm(G, params.feed_forward_norm)
    F, feed = feed_forward(N, params.feed_forward, activation="gelu")
    return G + F, CatBlockCache(kind, attention_norm, attention, feed_forward_norm, feed)


def cat_block_backward(dY, cache):
    """dX and dparams from dY: each residual hands its gradient to both of its terms."""
    # Y = G + feed_forward(LN(G))
    dN, dfeed = feed_forward_backward(dY, cache.feed_forward)
    dG, dfeed_norm = layer_norm_backward(dN, cache.feed_forward_norm)
    dG = dG + dY
    # G = X + attention(LN(X))
    _, attend_backward = ATTENTIONS[cache.kind]
    dZ, dattention = attend_backward(dG, cache.attention)
    dX, dattention_norm = layer_norm_backward(dZ, cache.attention_norm)
    return dX + dG, CatBlockParams(dattention_norm, dattention, dfeed_norm, dfeed)


def init_cat(C, F, rng, *, patch, bias=True, dtype=np.float64):
    """The three blocks of `cat`, a tuple of CatBlockParams."""
    options = dict(patch=patch, bias=bias, dtype=dtype)
    return tuple(init_cat_block(C, F, rng, kind=kind, **options) for kind in CAT_KINDS)


def cat(X, params, *, patch, num_heads, kernel="attention"):
    """Inner, cross, inner: what is found in a patch is told to all patches, and worked in.

    X          (..., H, W, C)
    params     tuple of three CatBlockParams, from `init_cat`
    patch      P, the side of a patch
    num_heads  of the inner blocks; the cross block has one
    kernel     "attention", "tiled" or "auto", as in `multihead_attention`

    Returns Y (..., H, W, C) and the cache, a tuple of three CatBlockCache.
    """
    Y, caches = X, []
    for block, kind in zip(params, CAT_KINDS, strict=True):
        heads = num_heads if kind == "inner" else 1
        Y, cache = cat_block(Y, block, kind=kind, patch=patch, num_heads=heads, kernel=kernel)
        caches.append(cache)
    return Y, tuple(caches)


def cat_backward(dY, cache):
    """dX and dparams from dY: the blocks in reverse."""
    dX, dblocks = dY, []
    for block in reversed(cache):
        dX, dblock = cat_block_backward(dX, block)
        dblocks.append(dblock)
    return dX, tuple(reversed(dblocks))
