"""Which kernel computes a model's attention: the one place where it is chosen.

    "attention"  keeps the weights P (..., Tq, Tk) in its cache, to be drawn; an AttentionCache
    "tiled"      never makes a (Tq, Tk) matrix, and its cache has no P; a TiledCache
    "auto"       for calls whose weights nobody asks for: whichever of the two is faster

Every model takes kernel=, as an argument or in its config; "attention" unless told otherwise. Each
cache says by its type which backward it is for, so a backward needs no such argument.

Outputs and gradients are the same but for rounding, under every mask and with queries that may
attend to nothing. Dropout is not: `attention` draws a number for each weight from the generator,
`tiled_attention` one seed for all. From the same state each repeats its own choice of weights, not
the other's. Complex arrays, such as the gradient checker's, are for `attention`.
"""

import math

import numpy as np

from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.floats import quiet
from npattn.kernels.masks import combine_masks
from npattn.kernels.options import require_choice, require_counts
from npattn.kernels.positional_masks import window_mask
from npattn.kernels.shapes import require_shapes
from npattn.kernels.tiling.driver import TiledCache
from npattn.kernels.tiling.tiled import tiled_attention, tiled_attention_backward
from npattn.models.scored_attention import ScoredCache, scored_attention, scored_attention_backward

KERNELS = "attention", "tiled", "auto"

# Forward and backward of both were timed for 64 to 1024 keys and 8 to 64 MiB of scores, in float32
# and float64, with one thread and with two. The bytes decide, more than the number of keys.
WORTH_TILES = 2**24  # of all heads together, as with 64 sequences, 4 heads, 128 tokens, float32


def require_kernel(kernel):
    """Raises ValueError unless `kernel` is one of KERNELS."""
    require_choice("kernel", kernel, KERNELS)


@quiet
def chosen_attention(
    Q, K, V, mask=None, bias=None, sink=None, *,
    kernel="attention", cap=None, window=None, offset=0, laid_out=None, scale=None, dropout=0.0,
    rng=None,
):
    """Scaled dot-product attention by the kernel of that name.

    Q, K, V  (..., Tq, Dk), (..., Tk, Dk), (..., Tk, Dv)
    kernel   "attention"; "tiled"; or "auto": "tiled" where all scores together would take
             WORTH_TILES bytes or more and no array is complex, else "attention"
    bias, sink, cap  as in `scored_attention`
    window, offset   as in `tiled_attention`; offset is the place of query 0 among the keys
    laid_out  a layer of a `KVCache`, which K and V extend; then there is no cache, no backward, and
              nothing but the window and the scale
    mask, scale, dropout, rng  as in `attention`

    Returns O (..., Tq, Dv) and the cache of the kernel that made it; with a bias, a sink or a cap
    "attention" is `scored_attention`.
    Raises ValueError for another kernel, TypeError for complex arrays with kernel="tiled";
    else as the kernels do.
    """
    require_kernel(kernel)
    if laid_out is not None:
        others = dict(mask=mask, bias=bias, sink=sink, cap=cap, dropout=rng and dropout or None)
        return _by_cache(Q, K, V, laid_out, window, scale, **others)
    options = dict(scale=scale, dropout=dropout, rng=rng)
    if kernel == "tiled" or kernel == "auto" and _is_worth_tiles(Q, K, V):
        if window is not None:
            options |= dict(window=window, offset=offset)
        return tiled_attention(Q, K, V, mask, bias, sink, cap=cap, **options)
    if window is not None:
        require_shapes("Q ... Tq Dk, K ... Tk Dk", Q, K)
        left, right = window_sides(window)
        allowed = window_mask(Q.shape[-2], K.shape[-2], left=left, right=right, offset=offset)
        mask = combine_masks(mask, allowed)
    if bias is None and sink is None and cap is None:
        return attention(Q, K, V, mask, **options)
    return scored_attention(Q, K, V, mask, bias, sink, cap=cap, **options)


def chosen_attention_backward(dO, cache):
    """dQ, dK, dV from dO (..., Tq, Dv), by the backward that belongs to the cache.

    Behind them dbias and dsink, where there is such a thing.
    """
    if isinstance(cache, TiledCache):
        return tiled_attention_backward(dO, cache)
    backward = scored_attention_backward if isinstance(cache, ScoredCache) else attention_backward
    return backward(dO, cache)


def window_sides(window):
    """(left, right), as `window_mask` takes them, of a window that may be w for |j − i| < w."""
    if not isinstance(window, tuple):
        require_counts(1, window=window)
        return window - 1, window - 1
    if len(window) != 2:
        raise ValueError(f"window must be an integer or (left, right), got {window!r}")
    require_counts(0, **{f"window[{i}]": n for i, n in enumerate(window) if n is not None})
    return window


def _by_cache(Q, K, V, laid_out, window, scale, **others):
    for name, given in others.items():
        if given is not None:
            raise ValueError(f"a KVCache attends without a {name}; hand over KeysValues as past")
    left = None if window is None else window_sides(window)[0]
    return laid_out.attend(Q, K, V, left=left, scale=scale), None


def _is_worth_tiles(Q, K, V):
    require_shapes("Q ... Tq Dk, K ... Tk Dk, V ... Tk Dv", Q, K, V)
    scores = math.prod(Q.shape[:-1]) * K.shape[-2]
    return scores * Q.itemsize >= WORTH_TILES and not any(map(np.iscomplexobj, (Q, K, V)))
