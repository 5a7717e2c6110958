"""ALiBi: a fixed term in the score, by how far the key is from the query. Nothing is learned.

    S_ij = −slope_h · |j − i − offset|        slope_h = 2^(−8h/H), h = 1 … H

It is added to the scores of `attention`: see `biased_attention`. A head of steep slope sees its
neighbours, one of flat slope the whole sequence, and sequences longer than those of the training
still work. The page `relative` has terms that are learned.
Source: Press, Smith and Lewis 2022, "Train Short, Test Long", section 3.
"""

import numpy as np

from npattn.kernels.options import require_counts, require_float_dtype
from npattn.kernels.positional_masks import distances
from npattn.kernels.shapes import require_shapes


def alibi_slopes(num_heads, *, dtype=np.float64) -> np.ndarray:
    """The slope of each head. For H a power of 2 they are a geometric sequence that ends in 2⁻⁸.

    For another H, with n the largest power of 2 below it, the first n slopes are those of n heads,
    the rest every other one of 2n heads, as in the authors' code.

    Returns (H,). Raises ValueError for fewer than one head, TypeError for no integer.

    >>> alibi_slopes(4).tolist()
    [0.25, 0.0625, 0.015625, 0.00390625]
    """
    require_counts(1, num_heads=num_heads)
    require_float_dtype(dtype)
    n = 1 << (int(num_heads).bit_length() - 1)
    steps = np.concatenate([np.arange(1, n + 1), np.arange(n) + 0.5])
    return (2.0 ** (-8.0 * steps[:num_heads] / n)).astype(dtype)


def alibi_bias(Tq, Tk, slopes, *, offset=0) -> np.ndarray:
    """A bias that falls by a head's slope with every step away from the query, to either side.

    Tq, Tk  number of queries and of keys
    slopes  (H,), from `alibi_slopes`
    offset  the position of query 0 among the keys, as in `causal_mask`

    Returns (H, Tq, Tk), entries ≤ 0.

    >>> alibi_bias(1, 3, np.array([0.5]), offset=1).tolist()
    [[[-0.5, -0.0, -0.5]]]
    """
    require_shapes("slopes H", slopes)
    distance = np.abs(distances(Tq, Tk, offset))
    return -slopes[:, None, None] * distance.astype(slopes.dtype)
