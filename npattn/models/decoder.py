"""The decoder: a stack of blocks, in which every position attends to earlier ones and the memory.

    X, M → decoder_block → … → decoder_block → Y      in pre-norm with a last norm

X and Y are (..., T, D); the memory M (..., Tm, D) is the encoder's output, the same for every
block, so its gradient is a sum over the blocks. The block is the page block.py, the stack stack.py.
Source: Vaswani et al. 2017, section 3.1, figure 1 right; d2l 11.7.5.
"""

import numpy as np

from npattn.kernels.floats import quiet
from npattn.models.block import decoder_block, decoder_block_backward, init_decoder_block
from npattn.models.config import options_of
from npattn.models.stack import StackParams, init_stack, stack, stack_backward

DecoderParams = StackParams  # of DecoderBlockParams


def init_decoder(D, F, num_blocks, rng, *, dtype=np.float64, **options):
    """`num_blocks` blocks, each as `init_decoder_block` makes it; options as in `init_stack`."""
    return init_stack(D, F, num_blocks, rng, init_decoder_block, dtype=dtype, **options)


@quiet
def decoder(
    X, M, params, mask=None, memory_mask=None, *, rng=None, options=None, **changes
):
    """The blocks one after the other, each beside the memory, then the last norm.

    X            (..., T, D)
    M            (..., Tm, D)
    params       DecoderParams
    mask, memory_mask  as in `decoder_block`, the same in every block
    rng, options, changes  as in `encoder`

    Returns Y (..., T, D) and the cache, of which `attention_weights` reads the weights.
    """
    o = options_of(options, changes)

    def block(X, block_params):
        return decoder_block(X, M, block_params, mask, memory_mask, rng=rng, options=o)

    return stack(X, params, block, options=o)


def decoder_backward(dY, cache):
    """dX, dM and dparams from dY: the blocks in reverse, each adding its share to dM."""
    dX, *dM, dparams = stack_backward(dY, cache, decoder_block_backward)
    return dX, dM[0] if dM else 0.0, dparams
