"""The encoder: a stack of blocks, in which every position attends to every other.

    X → encoder_block → … → encoder_block → Y      in pre-norm with a last norm

X and Y are (..., T, D). The block is the page block.py, the stack stack.py.
Source: Vaswani et al. 2017, section 3.1, figure 1 left; d2l 11.7.4.
"""

import numpy as np

from npattn.kernels.floats import quiet
from npattn.models.block import encoder_block, encoder_block_backward, init_encoder_block
from npattn.models.config import options_of
from npattn.models.stack import StackParams, init_stack, stack, stack_backward

EncoderParams = StackParams  # of EncoderBlockParams


def init_encoder(D, F, num_blocks, rng, *, dtype=np.float64, **options):
    """`num_blocks` blocks, each as `init_encoder_block` makes it; options as in `init_stack`."""
    return init_stack(D, F, num_blocks, rng, init_encoder_block, dtype=dtype, **options)


@quiet
def encoder(X, params, mask=None, *, rng=None, options=None, **changes):
    """The blocks one after the other, then the last norm where there is one.

    X       (..., T, D)
    params  EncoderParams
    mask    bool, as in `multihead_attention`, the same in every block
    rng     Generator for dropout, or None
    options, changes  BlockOptions or a config, and keywords of BlockOptions

    Returns Y (..., T, D) and the cache, of which `attention_weights` reads the weights.
    """
    o = options_of(options, changes)

    def block(X, block_params):
        return encoder_block(X, block_params, mask, rng=rng, options=o)

    return stack(X, params, block, options=o)


def encoder_backward(dY, cache):
    """dX and dparams from dY: the blocks in reverse."""
    return stack_backward(dY, cache, encoder_block_backward)
