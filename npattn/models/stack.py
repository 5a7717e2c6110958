"""A stack of blocks, whatever a block is: an encoder, a decoder, a language model.

    X → block → … → block → norm → Y        the norm where there is one

X and Y are (..., T, D). The blocks may read more than X, such as the encoder's memory: the gradient
of what all of them read is a sum over the blocks.
Source: Vaswani et al. 2017, section 3.1.
"""

from typing import Any, NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.options import require_counts
from npattn.models.config import options_of
from npattn.models.normalize import normalize, normalize_backward


class StackParams(NamedTuple):
    """What stack learns. The gradient has the same type."""

    blocks: tuple     # the parameters of each block
    norm: Any = None  # behind the last block, or None


class StackCache(NamedTuple):
    """What stack_backward reads."""

    blocks: tuple  # the cache of each block
    norm: Any


def init_stack(
    D, F, num_blocks, rng, init_block, *, last_norm=None, dtype=np.float64, options=None, **changes
):
    """`num_blocks` blocks of width D, F in their feed-forward networks, and a last norm.

    init_block  init_block(D, F, rng, dtype=…, options=…)
    last_norm   whether there is one; None means yes, but not in post-norm
    """
    require_counts(0, num_blocks=num_blocks)
    o = options_of(options, changes)
    last_norm = o.norm != "post" if last_norm is None else last_norm
    return StackParams(
        tuple(init_block(D, F, rng, dtype=dtype, options=o) for _ in range(num_blocks)),
        o.init_norm(D, dtype) if last_norm else None,
    )


@quiet
def stack(X, params, block, *, options=None, **changes):
    """The blocks one after the other, then the last norm where there is one.

    X       (..., T, D)
    params  StackParams
    block   Y, cache = block(X, block_params); or a sequence of these, one for each block
    options, changes  of the last norm: as in `encoder_block`

    Returns Y (..., T, D) and the cache.
    """
    caches, norm = [], None
    each = [block] * len(params.blocks) if callable(block) else block
    for one_block, block_params in zip(each, params.blocks, strict=True):
        X, cache = one_block(X, block_params)
        caches.append(cache)
    if params.norm is not None:
        X, norm = normalize(X, params.norm, **options_of(options, changes).normalized())
    return X, StackCache(tuple(caches), norm)


@quiet
def stack_backward(dY, cache: StackCache, block_backward):
    """dX, the gradients of what all blocks read, if anything, and dparams from dY (..., T, D).

    block_backward  dX, …, dparams = block_backward(dY, cache)
    """
    dX, dnorm, dread, dblocks = dY, None, None, []
    if cache.norm is not None:
        dX, dnorm = normalize_backward(dX, cache.norm)
    for block in reversed(cache.blocks):
        dX, *dmore, dblock = block_backward(dX, block)
        dread = dmore if dread is None else [a + b for a, b in zip(dread, dmore, strict=True)]
        dblocks.append(dblock)
    return dX, *(dread or ()), StackParams(tuple(reversed(dblocks)), dnorm)
