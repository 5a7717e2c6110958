"""Masks: who may attend to whom.

A mask is boolean, True = may attend, and broadcasts to the scores (..., Tq, Tk). Everything
else (valid lengths, additive floats, drop-style masks) is translated here, at the border.

    valid_lens_mask   key j < length               (B, 1, Tk) or (B, Tq, Tk)
    causal_mask       key j ≤ query i + offset     (Tq, Tk) or (..., Tq, Tk)
    combine_masks     allowed by every mask        windows, documents: page `positional_masks`
Source: d2l 11.3.2.1; Vaswani et al. 2017, section 3.2.3.
"""

from functools import reduce

import numpy as np

from npattn.kernels.arrays import as_array, require_bool
from npattn.kernels.floats import HALVES
from npattn.kernels.options import require_counts, require_number
from npattn.kernels.positional_masks import places


def valid_lens_mask(valid_lens, Tk):
    """Allows the first so many keys: the mask of padded sequences.

    valid_lens  (B,) one length per sequence, or (B, Tq) one per query; integers in 0 … Tk
    Tk          the number of keys, padding included

    Returns (B, 1, Tk) or (B, Tq, Tk), bool. A length of 0 makes a dead row.
    Raises TypeError for other than integers, ValueError for another number of axes or a
    length outside 0 … Tk.
    """
    require_counts(0, Tk=Tk)
    lens = as_array("valid_lens", valid_lens)
    if lens.dtype.kind not in "iu":
        raise TypeError(f"valid_lens must be integers, got {lens.dtype}")
    if lens.ndim not in (1, 2):
        raise ValueError(f"valid_lens must be (B,) or (B, Tq), got shape {lens.shape}")
    if lens.size and (lens.min() < 0 or lens.max() > Tk):
        raise ValueError(f"valid_lens must lie in 0 … {Tk}, got {lens.min()} … {lens.max()}")
    if lens.ndim == 1:
        lens = lens[:, None]
    return np.arange(Tk) < lens[..., None]


def causal_mask(Tq, Tk=None, *, offset=0):
    """Query i may attend to the keys 0 … i + offset: never to the future.

    Tq, Tk  number of queries and keys; Tk=None means Tq
    offset  the position of query 0 among the keys: with a cache, its length; or (...), for each

    Returns (Tq, Tk) or (..., Tq, Tk), bool. offset=0 puts the triangle in the upper left, as torch
    does. Raises TypeError for other than integers, ValueError if Tq or Tk is negative.
    """
    p, j = places(Tq, Tk, offset)
    return j <= p


def combine_masks(*masks):
    """What every mask allows; None allows all. Returns None if all are None.

    masks  bool arrays that broadcast to each other

    Raises TypeError for other than bool, ValueError if shapes do not broadcast.
    """
    given = [mask for mask in masks if mask is not None]
    for mask in given:
        require_bool(mask)
    try:
        return reduce(np.logical_and, given) if given else None
    except ValueError:
        shapes = ", ".join(str(mask.shape) for mask in given)
        raise ValueError(f"masks {shapes} do not broadcast to each other") from None


def mask_from_additive(bias, *, threshold=None):
    """The mask behind an additive one, which adds 0 where allowed and −inf where not.

    bias       (...) float
    threshold  where somebody wrote a large negative number for −inf: entries up to this
               value count as −inf, such as −1e4 for masks made of −1e6 or −1e9

    Returns (...), bool. Raises ValueError if an entry is neither 0 nor −inf (nor below the
    threshold): then it is a bias on the scores and not a mask; and for a threshold from 0 on.
    """
    bias, least = as_array("bias", bias), -np.inf if threshold is None else threshold
    if bias.dtype.kind != "f" and bias.dtype not in HALVES:
        raise TypeError(f"bias must be a float array, got {bias.dtype}")
    if not require_number(threshold=least) < 0.0:
        raise ValueError(f"threshold must be negative, such as -1e4, got {threshold}")
    drop = bias <= least
    odd = bias[~drop & (bias != 0.0)]
    if odd.size:
        raise ValueError(f"bias must hold 0 (may attend) and −inf, got {odd[0]}; pass threshold= "
                         "if −1e9 or so stands for −inf, else add the bias to the scores")
    return ~drop


def mask_from_drop(drop):
    """The mask behind a drop-style one, where True means "may not attend".

    drop  (...) bool, as torch.nn.MultiheadAttention takes for attn_mask and key_padding_mask

    Returns (...), bool, of the opposite polarity. A key_padding_mask (B, Tk) still needs its
    query axis: mask_from_drop(drop)[:, None, :].
    """
    drop = as_array("drop", drop)
    if drop.dtype != bool:
        raise TypeError(f"drop must be boolean (True = may not attend), got {drop.dtype}")
    return ~drop


def pad_sequences(sequences, max_len=None):
    """Ragged sequences in one array, zeros behind their ends, and the mask that tells them apart.

    sequences  list of arrays (T_b, ...), alike in all but their length
    max_len    T of the result; None means the longest

    Returns padded (B, T, ...) and mask (B, T), bool, True where there is data. For attention
    insert the query axis: mask[:, None, :].
    Raises ValueError for no sequences, unlike ones, or one longer than max_len, TypeError for
    single numbers and for what is no number.
    """
    sequences = [as_array(f"sequences[{b}]", X) for b, X in enumerate(sequences)]
    if not sequences:
        raise ValueError("sequences must hold at least one array")
    first = sequences[0]
    for b, X in enumerate(sequences):
        if X.ndim < 1 or X.dtype.kind not in "biufc":
            raise TypeError(f"sequences[{b}] must be an array of numbers (T_b, ...), "
                            f"got {X.dtype} {X.shape}")
        if X.shape[1:] != first.shape[1:] or X.dtype != first.dtype:
            raise ValueError(f"sequences[{b}] is {X.dtype} {X.shape}, sequences[0] is "
                             f"{first.dtype} {first.shape}: only the first axis may differ")
    lens = np.array([len(X) for X in sequences])
    T = int(lens.max()) if max_len is None else max_len
    require_counts(0, max_len=T)
    if lens.max() > T:
        b = int(lens.argmax())
        raise ValueError(f"sequences[{b}] has length {lens[b]}, more than max_len={T}; "
                         "raise max_len or cut the sequence")
    padded = np.zeros((len(sequences), T, *first.shape[1:]), first.dtype)
    for b, X in enumerate(sequences):
        padded[b, : len(X)] = X
    return padded, np.arange(T) < lens[:, None]
