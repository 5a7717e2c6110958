"""Which columns a rotation turns together, and the order that leads from one pairing to the other.

    interleaved   a = 2i, b = 2i + 1     RoFormer, GPT-J, GGUF files of Llama
    halves        a = i,  b = i + W/2    GPT-NeoX, Hugging Face, Qwen, Gemma

Both pairings compute the same scores, with the columns of the query and key weights in another
order: weights that were trained with one pairing give nonsense with the other.
Source: Su et al. 2021, "RoFormer", eq. 34; the code of GPT-NeoX and of Hugging Face's Llama.
"""

import numpy as np

from npattn.kernels.options import require_choice, require_counts

PAIRINGS = ("interleaved", "halves")


def pair_columns(width, pairing):
    """Which columns are a, and which are b, as two slices of the first `width` columns."""
    if pairing == "halves":
        return slice(0, width // 2), slice(width // 2, width)
    return slice(0, width, 2), slice(1, width, 2)


def pairing_order(width, to, *, D=None, num_heads=1) -> np.ndarray:
    """The columns in the order of the other pairing: W[:, order] of a query or key projection.

    width      W, how many columns of each head turn; D is the head's width, None means W
    to         "halves" for weights that were made for interleaved pairs, "interleaved" for others
    num_heads  heads side by side, each reordered within itself

    Returns order (num_heads · D,): `rotary` of X[..., order] under the pairing `to` is `rotary`
    of X under the other, in this order. Raises ValueError for an odd width or width > D.

    >>> pairing_order(6, "halves").tolist(), pairing_order(6, "interleaved").tolist()
    ([0, 2, 4, 1, 3, 5], [0, 3, 1, 4, 2, 5])
    """
    require_choice("to", to, PAIRINGS)
    D = width if D is None else D
    require_counts(1, width=width, D=D, num_heads=num_heads)
    if width % 2 or width > D:
        raise ValueError(f"width must be even and at most D, got width={width}, D={D}")
    pairs = np.arange(width).reshape((-1, 2) if to == "halves" else (2, -1))
    head = np.concatenate([pairs.T.ravel(), np.arange(width, D)])
    return (np.arange(num_heads)[:, None] * D + head).ravel()
