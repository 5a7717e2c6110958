"""All parameters in one block of memory, in the order in which a model reads them.

A token reads every weight once, so decoding is as fast as memory. One large block lies in huge
pages (NumPy asks Linux for them), which saves a third of the time of separate arrays. Matrices are
stored (out, in), as files have them, and stand in the parameters turned, (in, out): a product with
them reads memory in order.
"""

import math

import numpy as np

from npattn.kernels.floats import quiet
from npattn.trees import tree_leaves, tree_map

ALIGN = 16  # numbers: 64 bytes in float32


class Planned:
    """A parameter that is not read yet: its shape in memory, how to read it, whether to turn it."""

    def __init__(self, shape, read, turned=False):
        self.shape, self.read, self.turned = tuple(shape), read, turned


@quiet
def fill(tree, dtype=np.float32):
    """The tree with every planned leaf read into one block of memory."""
    sizes = [-(-math.prod(leaf.shape) // ALIGN) * ALIGN for leaf in tree_leaves(tree)]
    block = np.empty(sum(sizes), dtype)
    places = iter(np.cumsum(sizes) - sizes)

    def read(leaf):
        start = next(places)
        X = block[start:start + math.prod(leaf.shape)].reshape(leaf.shape)
        X[...] = leaf.read()
        return X.T if leaf.turned else X

    return tree_map(read, tree)
