"""Masks by position: who may attend to whom, given only where query and key stand.

With p = i + offset, the place of query i among the keys j:

    window_mask     p − left ≤ j ≤ p + right         sliding windows
    prefix_mask     j ≤ p or j < prefix              free inside a prompt, causal after it
    document_mask   document of i = document of j    many texts packed into one row

All return bool, True = may attend; combine them with `causal_mask`, `valid_lens_mask` and each
other by `combine_masks`. `offset`, the position of query 0 among the keys, is a number, or integers
(...) with one for each sequence: then the mask is (..., Tq, Tk). A window of w keys that ends at
the query itself, as Mistral and Hugging Face's `sliding_window` count it, is left=w − 1, right=0.
A query that may attend to no key is a dead row: its output is 0.
Source: Beltagy, Peters and Cohan 2020, "Longformer", section 3.1, for windows; Raffel et al. 2020
(T5), section 3.2.1, for prefixes; Krell et al. 2021, "Efficient Sequence Packing", for documents.
"""

import numpy as np

from npattn.kernels.arrays import as_array, require_integers
from npattn.kernels.options import require_counts, require_integer_range


def window_mask(Tq, Tk=None, *, left=None, right=None, offset=0) -> np.ndarray:
    """Allows the keys from `left` before the query to `right` behind it.

    Tq, Tk       number of queries and keys; Tk=None means Tq
    left, right  how many neighbours on either side, ≥ 0; None means all. right=0 is causal
    offset       the position of query 0 among the keys: one integer, or (...) integers

    Returns (Tq, Tk) or (..., Tq, Tk), bool.
    Raises TypeError for other than integers, ValueError for negative ones.

    >>> window_mask(4, left=1, right=0).astype(int).tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    """
    p, j = places(Tq, Tk, offset)
    sides = {"left": left, "right": right}
    require_counts(0, **{name: n for name, n in sides.items() if n is not None})
    allowed = np.ones((*p.shape[:-1], len(j)), bool)
    if left is not None:
        allowed &= j >= p - left
    if right is not None:
        allowed &= j <= p + right
    return allowed


def prefix_mask(prefix, Tq, Tk=None, *, offset=0) -> np.ndarray:
    """Allows all of the first `prefix` keys, and of the others those up to the query itself.

    prefix  one integer ≥ 0, or (...) integers, one for each sequence
    Tq, Tk, offset  as in `window_mask`

    Returns (Tq, Tk) or (..., Tq, Tk), bool.

    >>> prefix_mask(2, 3).astype(int).tolist()
    [[1, 1, 0], [1, 1, 0], [1, 1, 1]]
    """
    p, j = places(Tq, Tk, offset)
    prefix = _integers("prefix", prefix)
    if prefix.size and prefix.min() < 0:
        raise ValueError(f"prefix must be 0 or more, got {prefix.min()}")
    return (j <= p) | (j < prefix[..., None, None])


def document_mask(documents, keys=None) -> np.ndarray:
    """Allows the keys of the query's own document.

    documents  (..., Tq)  integers, the number of each position's document; negative: padding, which
               attends to nothing and to which nothing attends
    keys       (..., Tk)  the same for the keys; None means documents

    Returns (..., Tq, Tk), bool. For heads insert an axis: mask[:, None].

    >>> document_mask(np.array([0, 0, 1, -1])).astype(int).tolist()
    [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    """
    keys = documents if keys is None else keys
    require_integers(documents=documents, keys=keys)
    if documents.ndim < 1 or documents.shape[:-1] != keys.shape[:-1]:
        raise ValueError(f"documents {documents.shape} and keys {keys.shape} must be (..., Tq) "
                         "and (..., Tk)")
    queries = documents[..., :, None]
    return (queries == keys[..., None, :]) & (queries >= 0)


def places(Tq, Tk, offset):
    """Where the queries stand among the keys, (..., Tq, 1) for offset (...), and the keys, (Tk,).

    Raises TypeError unless all are integers, ValueError if Tq or Tk is negative.
    """
    Tk = Tq if Tk is None else Tk
    require_counts(0, Tq=Tq, Tk=Tk)
    return np.arange(Tq)[:, None] + _integers("offset", offset)[..., None, None], np.arange(Tk)


def distances(Tq, Tk, offset) -> np.ndarray:
    """j − i − offset for all queries i and keys j, (Tq, Tk); all three must be integers."""
    require_counts(0, Tq=Tq, Tk=Tk)
    require_counts(None, offset=offset)
    return np.arange(Tk) - np.arange(Tq)[:, None] - int(offset)


def _integers(name, value):
    value = as_array(name, value)
    if value.dtype.kind not in "iu":
        raise TypeError(f"{name} must be an integer or an array of integers, got {value.dtype}")
    require_integer_range(name, value)
    return value.astype(np.int64)
