"""What the masking arguments of `tiled_attention` say, as a Reach.

    valid_lens   j < length
    causal       j ≤ p                           p = i + offset, the place of query i among the keys
    window w     p − w < j < p + w               or (left, right): p − left ≤ j ≤ p + right

All of them are start_i ≤ j < stop_i, so no matrix is made. The page `positional_masks` has the same
windows as masks.
"""

import math

import numpy as np

from npattn.kernels.arrays import as_array
from npattn.kernels.masks import combine_masks
from npattn.kernels.options import require_flag
from npattn.kernels.shapes import require_mask
from npattn.kernels.tiling.reach import Reach

FAR = 2**60  # positions further apart than any array is long, and sums of a few still fit


def reach_of(shape, Tk, mask=None, valid_lens=None, causal=False, offset=0, window=None, bias=None):
    """The Reach that the masking arguments of `tiled_attention` describe.

    shape  (..., Tq), the leading axes and the number of queries
    bias   whose entries of −inf forbid

    Raises TypeError or ValueError that names the argument which does not fit.
    """
    *lead, Tq = shape
    position = np.arange(Tq) + _require_offset(offset, shape)
    start, stop = np.zeros(Tq, int), np.full(Tq, Tk)
    if valid_lens is not None:
        stop = np.minimum(stop, _require_lens(valid_lens, shape, Tk))
    require_flag("causal", causal)
    if causal:
        stop = np.minimum(stop, position + 1)
    if window is not None:
        left, right = _require_window(window)
        start, stop = position - left, np.minimum(stop, position + right + 1)
    start, stop = (np.clip(X, 0, Tk).astype(np.int32) for X in (start, stop))
    stop = np.maximum(stop, start)
    if mask is not None:
        mask = require_mask(mask, (*(lead or [1]), Tq, Tk))
    if bias is not None:
        mask = require_mask(combine_masks(mask, bias != -np.inf), (*(lead or [1]), Tq, Tk))
    free = bool(mask is None and start.max(initial=0) == 0 and stop.min(initial=Tk) == Tk)
    start, stop = (np.broadcast_to(X, shape).reshape(math.prod(lead), Tq) for X in (start, stop))
    return Reach(start, stop, mask, free)


def _require_integer(name, value):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    return min(max(int(value), -FAR), FAR)


def _require_offset(offset, shape):
    """One integer, or (B, 1, …), which broadcasts to `shape`, of (B,) integers."""
    if not isinstance(offset, np.ndarray):
        return _require_integer("offset", offset)
    if as_array("offset", offset).dtype.kind not in "iu":
        raise TypeError(f"offset must be an integer or an array of integers, got {offset.dtype}")
    if len(shape) < 2 or offset.shape != shape[:1]:
        raise ValueError("offset must be one integer, or (B,) for queries (B, ..., Tq, Dk); "
                         f"got {offset.shape} for {(*shape, 'Dk')}")
    return np.clip(offset, -FAR, FAR).reshape(-1, *(1,) * (len(shape) - 1))


def _require_window(window):
    """How many keys count before and behind a query's place, as two integers."""
    if not isinstance(window, tuple):
        if _require_integer("window", window) < 1:
            raise ValueError(f"window must be at least 1, got {window}")
        return (_require_integer("window", window) - 1,) * 2
    if len(window) != 2:
        raise ValueError(f"window must be an integer or (left, right), got {window!r}")
    left, right = (FAR if n is None else _require_integer("window", n) for n in window)
    if min(left, right) < 0:
        raise ValueError(f"window (left, right) must be 0 or more, or None for all, got {window!r}")
    return left, right


def _require_lens(valid_lens, shape, Tk):
    """The lengths, int, broadcastable to `shape`."""
    lens = as_array("valid_lens", valid_lens)
    if lens.dtype.kind not in "iu":
        raise TypeError(f"valid_lens must be integers, got {lens.dtype}")
    if len(shape) < 2 or lens.shape not in (shape[:1], (shape[0], shape[-1])):
        raise ValueError("valid_lens must be (B,) or (B, Tq) for queries (B, ..., Tq, Dk); "
                         f"got {lens.shape} for {(*shape, 'Dk')}")
    if lens.size and (lens.min() < 0 or lens.max() > Tk):
        raise ValueError(f"valid_lens must lie in 0 … {Tk}, got {lens.min()} … {lens.max()}")
    shape = len(lens), *(1,) * (len(shape) - lens.ndim), *lens.shape[1:]
    return lens.reshape(shape).astype(np.int32)
