"""Right numbers in the wrong places: axes exchanged, turned round, summed over, or left.

A symptom is a function (name, cases) -> a sentence that holds in every one of the cases, or None.
"""

import itertools
from functools import partial

import numpy as np

from npattn.exercises.answers import close
from npattn.exercises.symptoms.case import all_are, sums_to_one

ORDERS = (
    ("in the opposite order", np.flip), ("summed up from the start", np.cumsum),
    ("moved on by one place", lambda X, axis: np.roll(X, 1, axis)),
    ("moved back by one place", lambda X, axis: np.roll(X, -1, axis)),
)


def transposed(name, cases):
    """The last two axes exchanged."""
    square = [min(case.want.shape[-2:], default=1) > 1 for case in cases]
    if any(square) and all_are(
            cases, lambda case: case.want.swapaxes(-1, -2) if case.want.ndim > 1 else None):
        return f"{name} is the transpose of what it should be, number for number."
    return None


def permuted(name, cases):
    """The axes in another order."""
    n = cases[0].want.ndim
    if not 2 < n < 5 or any(case.want.ndim != n or case.got.ndim != n for case in cases):
        return None
    for axes in itertools.permutations(range(n)):
        if axes != tuple(range(n)) and all_are(
                cases, lambda case, axes=axes: case.want.transpose(axes)):
            back = f"np.transpose({name}, {tuple(map(axes.index, range(n)))})"
            return f"{name} has its axes in another order: {back} is right."
    return None


def turned_round(name, cases):
    """In the opposite order, or moved by one place, along an axis; or summed up along it."""
    for axis in range(-1, -1 - min(case.want.ndim for case in cases), -1):
        words = cases[0].words
        word = words[axis] if -axis <= len(words) else "leading axis"
        for told, make in ORDERS:
            if any(case.want.shape[axis] > 1 for case in cases) and all_are(
                    cases, lambda case, make=make, axis=axis: make(case.want, axis)):
                return f"Along the axis {word} {name} is what it should be, {told}."
    return None


def rearranged(name, cases):
    """The same numbers, sorted in some other way."""
    def in_order(X):
        return np.sort(X, axis=None)

    if all(close(in_order(case.got), in_order(case.want)).all() for case in cases):
        return f"{name} holds the right numbers in the wrong places."
    return None


def pooled(name, cases):
    """Along one axis all entries are the sum, the mean, or one of what they should be."""
    pools = {"the sum of all": np.sum, "the mean of all": np.mean,
             "the first": partial(np.take, indices=[0]), "the last": partial(np.take, indices=[-1])}
    for axis in range(-1, -1 - max(case.want.ndim for case in cases), -1):
        for words, pool in pools.items():
            keep = {} if isinstance(pool, partial) else {"keepdims": True}
            if all_are(cases, lambda case, pool=pool, axis=axis, keep=keep: (
                    np.broadcast_to(pool(case.want, axis=axis, **keep), case.want.shape)
                    if case.want.ndim >= -axis else None)):
                axes = cases[0].words
                word = axes[axis] if -axis <= len(axes) else "leading axis"
                return f"Each {word} of {name} is {words} that there should be."
    inner = len(cases[0].words)
    for words, pool in list(pools.items())[:2]:
        if max(case.want.ndim for case in cases) - inner > 1 and all_are(
                cases, lambda case, pool=pool: np.broadcast_to(
                    pool(case.want, axis=tuple(range(case.want.ndim - inner)), keepdims=True),
                    case.want.shape)):
            return f"Each leading axis of {name} is {words} that there should be."
    return None


def not_broadcast(name, cases):
    """What it should be, with axes of length 1 or without leading ones."""
    try:
        pairs = [(np.broadcast_to(case.got, case.want.shape), case.want) for case in cases]
    except ValueError:
        return None
    if all(close(got, want).all() for got, want in pairs):
        return f"{name} holds the right numbers, but np.broadcast_to its full shape is missing."
    return None


def not_summed(name, cases):
    """Axes that are left and must be summed over; a length that is another one's."""
    if all(case.got.ndim > case.want.ndim and case.got.sum(axis=tuple(range(
            case.got.ndim - case.want.ndim))).shape == case.want.shape for case in cases):
        sums = [case.got.sum(axis=tuple(range(case.got.ndim - case.want.ndim))) for case in cases]
        if all(close(X, case.want).all() for X, case in zip(sums, cases, strict=True)):
            return f"{name} has leading axes that are left; the sum over them is right."
    if not all(case.got.ndim == case.want.ndim for case in cases):
        return None
    off = [[axis for axis in range(-case.want.ndim, 0)
            if case.got.shape[axis] != case.want.shape[axis]] for case in cases]
    if len({tuple(axes) for axes in off}) > 1 or len(off[0]) != 1:
        return None
    axis = off[0][0]
    word = cases[0].words[axis] if -axis <= len(cases[0].words) else "leading axis"
    got, want = (getattr(cases[0], key).shape[axis] for key in ("got", "want"))
    return (f"{name} has another length than it should along its axis {word}, {got} where it "
            f"should be {want} in the first such case.")


def sums_elsewhere(name, cases):
    """Weights that sum to 1 along another axis than the last."""
    matrices = all(case.want.ndim > 1 for case in cases)
    if not matrices or not all(sums_to_one(case.want, -1) for case in cases):
        return None
    least = min(case.want.ndim for case in cases)
    for axis, words in ((-2, "columns"), (None, "whole table"), ((-2, -1), "matrices"),
                        (-3, "entries"), (-4, "entries"), (0, "entries")):
        if words == "entries" and least < (max(-axis, 3) if axis else 2):
            continue
        if (all(sums_to_one(case.got, axis) for case in cases)
                and not all(sums_to_one(case.got, -1) for case in cases)):
            if words == "entries":
                return f"{name} sums to 1 along axis {axis}; it should along the last, axis -1."
            verb = "sums" if words == "whole table" else "sum"
            return f"The {words} of {name} {verb} to 1 (axis {axis}); the rows should (axis -1)."
    return None
