"""The blocks of CAT: patch attention and a feed-forward network around residuals.

    block   G = X + attention(LN(X)),  Y = G + feed_forward(LN(G))      X, G, Y (..., H, W, C)
    cat     inner block → cross block → inner block

Norm and feed-forward network work on the C channels of each pixel, whatever the attention's
tokens are. Kernels composed, no new calculus.
Source: Lin et al. 2021, "CAT: Cross Attention in Vision Transformer", section 3, figure 3.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.options import require_choice
from npattn.models.config import CAT, options_of
from npattn.models.feed_forward import FeedForwardParams, feed_forward, feed_forward_backward
from npattn.models.multihead import MultiHeadParams
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


class CatBlockParams(NamedTuple):
    """What cat_block learns. The gradient has the same type."""

    attention_norm: Any         # of `normalize`
    attention: MultiHeadParams  # of width C for "inner", P² for "cross"
    feed_forward_norm: Any
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


def init_cat_block(C, F, rng, *, kind, patch, dtype=np.float64, options=None, **changes):
    """A block for C channels with a feed-forward network F wide; `kind` as in `cat_block`."""
    require_choice("kind", kind, ATTENTIONS)
    o = options_of(options or CAT, changes)
    return CatBlockParams(
        o.init_norms(C, dtype), o.init_attention(C if kind == "inner" else patch**2, rng, dtype),
        o.init_norms(C, dtype), o.init_feed_forward(C, F, rng, dtype),
    )


@quiet
def cat_block(X, params, *, kind, patch, rng=None, options=None, **changes):
    """Patch attention, then each pixel by itself; both added to what they were given.

    X       (..., H, W, C)
    params  CatBlockParams
    kind    "inner" or "cross"
    patch, rng, options, changes  as in `inner_patch_attention` and `cross_patch_attention`

    Returns Y (..., H, W, C) and the cache. Raises ValueError for another kind.
    """
    require_choice("kind", kind, ATTENTIONS)
    attend, _ = ATTENTIONS[kind]
    o = options_of(options or CAT, changes)
    G, attended = residual(
        X, params.attention_norm,
        lambda Z: attend(Z, params.attention, patch=patch, rng=rng, options=o), rng=rng, options=o,
    )
    Y, fed = residual(
        G, params.feed_forward_norm,
        lambda Z: feed_forward(Z, params.feed_forward, **o.fed()), rng=rng, options=o,
    )
    return Y, CatBlockCache(kind, attended, fed)


@quiet
def cat_block_backward(dY, cache: CatBlockCache):
    """dX and dparams from dY: the forward's calls, undone in reverse."""
    _, attend_backward = ATTENTIONS[cache.kind]
    dG, dfeed_norm, dfeed = residual_backward(dY, cache.feed_forward, feed_forward_backward)
    dX, dattention_norm, dattention = residual_backward(dG, cache.attention, attend_backward)
    return dX, CatBlockParams(dattention_norm, dattention, dfeed_norm, dfeed)


def init_cat(C, F, rng, **options):
    """The three blocks of `cat`, a tuple of CatBlockParams; options as in `init_cat_block`."""
    return tuple(init_cat_block(C, F, rng, kind=kind, **options) for kind in CAT_KINDS)


@quiet
def cat(X, params, *, patch, rng=None, options=None, **changes):
    """Inner, cross, inner: what is found in a patch is told to all patches, and worked in.

    X       (..., H, W, C)
    params  tuple of three CatBlockParams, from `init_cat`
    patch, rng, options, changes  as in `cat_block`; but the cross block has one head

    Returns Y (..., H, W, C) and the cache, a tuple of three CatBlockCache.
    """
    o, caches = options_of(options or CAT, changes), []
    Y, one_head = X, replace(o, num_heads=1)
    for block, kind in zip(params, CAT_KINDS, strict=True):
        told = o if kind == "inner" else one_head
        Y, cache = cat_block(Y, block, kind=kind, patch=patch, rng=rng, options=told)
        caches.append(cache)
    return Y, tuple(caches)


@quiet
def cat_backward(dY, cache: tuple):
    """dX and dparams from dY: the blocks in reverse."""
    dX, dblocks = dY, []
    for block in reversed(cache):
        dX, dblock = cat_block_backward(dX, block)
        dblocks.append(dblock)
    return dX, tuple(reversed(dblocks))
