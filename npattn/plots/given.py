"""Weights in the forms that people have them, as plain arrays.

`weights` may be an array, a tuple or list of layers, tensors of torch or another library, also
ones that require gradients, a masked array (what it masks is hidden) or a DataFrame (its labels
are kept). Axes of length 1 drop out until the rest can be drawn.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.shapes import require_mask
from npattn.plots import checks

HIDDEN = -1e4  # scores from here down are what people write for "may not attend"
TOLERANCE = 0.02  # of a sum of weights in half precision


class Given(NamedTuple):
    """What can be drawn of what was given."""

    weights: np.ndarray        # (…, Tq, Tk), finite, float64
    mask: np.ndarray | None    # of the shape of weights
    queries: object            # labels, None where none were given
    keys: object               # likewise
    word: str                  # "weight", "score", or what else the numbers are


def read(weights, queries, keys, mask, ndims):
    """Given(…) from the arguments of a plot; raises TypeError or ValueError, naming the argument.

    ndims  the numbers of axes that can be drawn
    """
    rows, columns = _frame_labels(weights)
    queries = rows if queries is None else queries
    keys = columns if keys is None else keys
    weights, seen = _plain(weights)
    weights, seen = (_drop_ones(array, max(ndims)) for array in (weights, seen))
    _require_one_sequence(weights)
    if mask is not None:
        mask, masked = _plain(mask, "mask")
        if masked is not None:
            mask = mask & masked
        mask = require_mask(_drop_ones(mask, weights.ndim), weights.shape, "weights")
        seen = mask if seen is None else mask & seen
    if weights.dtype.kind in "biuf":
        weights = weights.astype(np.float64)
        if seen is not None:
            weights = np.where(~seen & ~np.isfinite(weights), 0.0, weights)
        _explain_nan_rows(weights)
    weights = checks.numbers("weights", weights, ndims)
    hidden = weights <= HIDDEN
    if hidden.any() and np.abs(weights[~hidden]).max(initial=0.0) < -HIDDEN / 10:  # masked scores
        seen = ~hidden if seen is None else seen & ~hidden
        weights = np.where(hidden, 0.0, weights)
        word = "score"
    else:
        word = _word(weights)
    return Given(weights, seen, queries, keys, word)


def _plain(given, name="weights"):
    """The array, and where it may be seen (None: everywhere), of whatever stands for one."""
    if isinstance(given, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(given)
        return given.filled(0), ~hidden if hidden.any() else None
    if hasattr(given, "detach"):  # a tensor, with or without gradient, on whatever device
        given = given.detach().cpu()
        return (given.float() if "bfloat16" in str(given.dtype) else given).numpy(), None
    if isinstance(given, np.ndarray) and given.dtype.kind == "V":
        return _from_bfloat16(name, given), None
    if isinstance(given, (list, tuple)) and any(
        isinstance(part, (list, tuple)) or getattr(part, "ndim", 0) for part in given
    ):
        parts = [_plain(part, name) for part in given]
        shapes = sorted({array.shape for array, _ in parts})
        if len(shapes) > 1:
            raise ValueError(
                f"{name} must be layers of one shape, got {' and '.join(map(str, shapes))}; "
                "draw these apart"
            )
        seen = None
        if any(part is not None for _, part in parts):
            seen = np.stack([np.ones(a.shape, bool) if s is None else s for a, s in parts])
        return np.stack([array for array, _ in parts]), seen
    array = np.asarray(given)
    if array.dtype == object and array.ndim == 1 and len(array):  # layers, saved as objects
        return _plain(list(array), name)
    return (_from_bfloat16(name, array) if array.dtype.kind == "V" else array), None


def _from_bfloat16(name, array):
    """float32 of an array of bfloat16, which NumPy reads as two bytes without a meaning."""
    if array.dtype.itemsize != 2 or array.dtype.names:
        raise TypeError(
            f"{name} must be an array of real numbers, got dtype {array.dtype}; "
            "save it as float32"
        )
    return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def _frame_labels(given):
    """The labels of a DataFrame's rows and columns; None where they only count."""
    if not (hasattr(given, "columns") and hasattr(given, "index")):
        return None, None
    return tuple(
        None if list(axis) == list(range(len(axis))) else list(axis)
        for axis in (given.index, given.columns)
    )


def _drop_ones(array, most):
    """The array without axes of length 1, the batch first, until it has `most` axes."""
    while array is not None and array.ndim > most:
        leading = array.shape[:-2]
        ones = [n for n, length in enumerate(leading) if length == 1]
        if not ones:
            break
        array = array.squeeze(1 if 1 in ones and len(leading) > 2 else ones[0])
    return array


def _require_one_sequence(weights):
    if weights.ndim == 5:
        raise ValueError(
            f"weights must have 2 or 3 or 4 axes, got shape {weights.shape}; if these are "
            "(layers, batch, heads, queries, keys), select one sequence with weights[:, 0]"
        )


def _explain_nan_rows(weights):
    nan = np.isnan(weights)
    if weights.ndim >= 2 and weights.shape[-1] > 1 and nan.all(axis=-1).any():
        where = [int(i) for i in np.argwhere(nan.all(axis=-1))[0]]
        raise ValueError(
            f"weights must be finite, but all of weights{where} is nan, as torch writes for a "
            "query that may attend to nothing; give the mask, and it is drawn as ∅"
        )


def _word(weights):
    """What the numbers are, for the colour bar, and where the order of the axes seems wrong.

    Weights are not negative and each row sums to 1, or to 0 where it may attend to nothing.
    """
    if weights.min() < -1e-6:
        return "score"
    if _sum_to_one(weights, -1):
        return "weight"
    for axis in range(weights.ndim - 1):
        if weights.shape[axis] > 1 and _sum_to_one(weights, axis):
            return f"value (axis {axis} sums to 1;\nkeys must be the last axis)"
    return "value (rows do not sum to 1)"


def _sum_to_one(weights, axis):
    sums = weights.sum(axis=axis)
    near = np.abs(sums - 1) <= TOLERANCE
    return bool((near | (sums == 0)).all() and near.any())
