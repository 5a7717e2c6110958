"""The blocks of CAT: patch attention and a feed-forward network around residuals.

    block   G = X + attention(LN(X)),  Y = G + feed_forward(LN(G))      X, G, Y (..., H, W, C)
    cat     inner block → cross block → inner block

Norm and feed-forward network work on the C channels of each pixel, whatever the attention's
tokens are. Kernels composed, no new calculus.
Source: Lin et al. 2021, "CAT: Cross Attention in Vision Transformer", section 3, figure 3.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.layer_norm import LayerNormParams, init_layer_norm
from npattn.kernels.options import require_choice
from npattn.models.config import BlockOptions
from npattn.models.feed_forward import (
    FeedForwardParams, feed_forward, feed_forward_backward, init_feed_forward,
)
from npattn.models.multihead import MultiHeadParams, init_multihead
from npattn.models.patch_attention import (
    cross_patch_attention, cross_patch_attention_backward, inner_patch_attention,
    inner_patch_attention_backward,
)
from npattn.models.residual import ResidualCache, residual, residual_backward

ATTENTIONS = {
    "inner": (inner_patch_attention, inner_patch_attention_backward),
    "cross": (cross_patch_attention, cross_patch_attention_backward),
}
CAT_KINDS = "inner", "cross", "inner"
OPTIONS = BlockOptions(norm="pre", activation="gelu")


class CatBlockParams(NamedTuple):
    """What cat_block learns. The gradient has the same type."""

    attention_norm: LayerNormParams
    attention: MultiHeadParams  # of width C for "inner", P² for "cross"
    feed_forward_norm: LayerNormParams
    feed_forward: FeedForwardParams


class CatBlockCache(NamedTuple):
    """What cat_block_backward reads, in the order of the forward."""

    kind: str
    attention: ResidualCache
    feed_forward: ResidualCache

    @property
    def weights(self):
        """The weights P of its attention, as `attention_weights` returns them."""
        return {"self": self.attention.sublayer.multihead.P}


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
    heads = dict(patch=patch, num_heads=num_heads, kernel=kernel)
    G, attended = residual(
        X, params.attention_norm, lambda Z: attend(Z, params.attention, **heads), options=OPTIONS
    )
    Y, fed = residual(
        G, params.feed_forward_norm,
        lambda Z: feed_forward(Z, params.feed_forward, **OPTIONS.fed()), options=OPTIONS,
    )
    return Y, CatBlockCache(kind, attended, fed)


def cat_block_backward(dY, cache):
    """dX and dparams from dY: the forward's calls, undone in reverse."""
    _, attend_backward = ATTENTIONS[cache.kind]
    dG, dfeed_norm, dfeed = residual_backward(dY, cache.feed_forward, feed_forward_backward)
    dX, dattention_norm, dattention = residual_backward(dG, cache.attention, attend_backward)
    return dX, CatBlockParams(dattention_norm, dattention, dfeed_norm, dfeed)


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
