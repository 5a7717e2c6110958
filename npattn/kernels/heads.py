"""Splitting a wide array into heads, and merging heads into a wide array.

    split   (..., T, H·D) → (..., H, T, D)     head h takes columns h·D … (h+1)·D − 1
    merge   (..., H, T, D) → (..., T, H·D)

Both only move numbers, so each is the other's inverse and also the other's adjoint:
⟨split(X), Y⟩ = ⟨X, merge(Y)⟩. Hence each is the other's backward. Skipping the transpose
(a bare reshape) gives the right shape and the wrong numbers: it mixes positions.
Source: Vaswani et al. 2017, section 3.2.2; d2l 11.5.2, transpose_qkv and transpose_output.
"""

import numpy as np

from npattn.kernels.shapes import require_shapes


def require_heads(num_heads, width):
    """The number of heads must divide the width. Raises ValueError otherwise."""
    if not isinstance(num_heads, int | np.integer) or num_heads < 1 or width % num_heads:
        raise ValueError("num_heads must be a positive integer that divides the width, "
                         f"got num_heads={num_heads!r} for a width of {width}")


def split_heads(X, num_heads):
    """The columns of X, dealt out to `num_heads` heads. A view of X where possible.

    X          (..., T, H·D)
    num_heads  H, which must divide the width

    Returns Y (..., H, T, D).
    Raises ValueError if H does not divide the width.
    """
    require_shapes("X ... T H·D", X)
    require_heads(num_heads, X.shape[-1])
    T, width = X.shape[-2:]
    return X.reshape(*X.shape[:-1], num_heads, width // num_heads).swapaxes(-3, -2)


def split_heads_backward(dY):
    """dX (..., T, H·D) from dY (..., H, T, D): split only moves numbers, merge moves them back."""
    return merge_heads(dY)


def merge_heads(X):
    """The heads' columns side by side again, head 0 first.

    X  (..., H, T, D)

    Returns Y (..., T, H·D).
    Raises ValueError if X has fewer than three axes.
    """
    require_shapes("X ... H T D", X)
    H, T, D = X.shape[-3:]
    return X.swapaxes(-3, -2).reshape(*X.shape[:-3], T, H * D)


def merge_heads_backward(dY, num_heads):
    """dX (..., H, T, D) from dY (..., T, H·D): merge only moves numbers, split moves them back."""
    return split_heads(dY, num_heads)
