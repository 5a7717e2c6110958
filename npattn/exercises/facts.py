"""What can be said about wrong numbers without knowing how they came about.

A fact looks at all the cases that went wrong at once, and is a sentence that holds in every one of
them, or None. Nothing here guesses at a cause. Facts that say it all come first; where there is
one, it stands alone.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from npattn.exercises.answers import Trouble, close

POWERS = {1: "n", -1: "1/n", 0.5: "√n", -0.5: "1/√n", 2: "n²", -2: "1/n²"}


class Case(NamedTuple):
    """One array of the answer in one case."""

    name: str
    words: list        # for the last axes
    got: np.ndarray
    want: np.ndarray
    others: dict       # {name: what another array of the answer should be}
    inputs: dict       # {name: value}

    @property
    def shaped(self):
        return self.got.shape == self.want.shape

    @property
    def wrong(self):
        return ~close(self.got, self.want)


def facts_about(exercise, trials, outcomes, k, by_axes):
    """Sentences about array k of the answer; `by_axes` is what `right_by_axes` says of it all."""
    name, words = list(exercise.answer.items())[k]
    cases = []
    for trial, outcome in zip(trials, outcomes, strict=True):
        if not isinstance(outcome, Trouble):
            wants = {key: t.value for key, t in zip(exercise.answer, trial.truths, strict=True)}
            want, inputs = wants.pop(name) * 1.0, dict(trial.inputs(exercise.reference))
            cases.append(Case(name, words.split(), outcome[k] * 1.0, want, wants, inputs))
    bad = [case for case in cases if not case.shaped or case.wrong.any()]
    if not bad:
        return by_axes or [f"{name} is right in every case that ran."]
    known, told = (WHOLE, PARTS) if all(case.shaped for case in bad) else (SHAPELESS, ())
    whole = next(filter(None, (fact(name, bad) for fact in known)), None)
    sentences = [whole] if whole else [*(fact(name, bad) for fact in told), *by_axes]
    if len(bad) < len(cases) and (whole or not by_axes):
        sentences.append(f"{name} is right in {len(cases) - len(bad)} of {len(cases)} cases.")
    return [sentence for sentence in sentences if sentence]


def right_by_axes(exercise, trials, right):
    """[a sentence] if the number of axes of the first argument decides where all is right, else [].

    right  a bool for each trial
    """
    inputs = [trial.inputs(exercise.reference)[0] for trial in trials]
    good, bad = (
        {np.ndim(X) for (_, X), each in zip(inputs, right, strict=True) if each == wanted}
        for wanted in (True, False)
    )
    if not good or good & bad:
        return []
    here, there = (" or ".join(map(str, sorted(ndims))) for ndims in (good, bad))
    return [
        f"All is right where {inputs[0][0]} has {here} axes, and never where it has {there}. Axes "
        "counted from the front (axis=0, transpose(1, 0, 2)) are not the same ones there, and .T "
        "reverses them all: count from the end (axis=-1, swapaxes(-1, -2))."
    ]


def _all_are(cases, make):
    """Whether in every case the numbers are those that `make` makes of it; None is nothing."""
    pairs = [(case.got, make(case)) for case in cases]
    return all(Y is not None and X.shape == Y.shape and close(X, Y).all() for X, Y in pairs)


# ---- facts that say it all ----


def _another(name, cases):
    for key in cases[0].others:
        if _all_are(cases, lambda case, key=key: case.others[key]):
            return f"{name} is what {key} should be."
    return None


def _transposed(name, cases):
    if _all_are(cases, lambda case: case.want.swapaxes(-1, -2) if case.want.ndim > 1 else None):
        return f"{name} is the transpose of what it should be, number for number."
    return None


def _not_broadcast(name, cases):
    try:
        pairs = [(np.broadcast_to(case.got, case.want.shape), case.want) for case in cases]
    except ValueError:
        return None
    if all(close(got, want).all() for got, want in pairs):
        return f"{name} holds the right numbers, but np.broadcast_to its full shape is missing."
    return None


def _not_finite(name, cases):
    spoilt = [np.isfinite(case.want) & ~np.isfinite(case.got) for case in cases]
    if not any(bad.any() for bad in spoilt):
        return None
    only = all((case.wrong == bad).all() for case, bad in zip(cases, spoilt, strict=True))
    rest = "everything else is right" if only else "other entries are wrong, too"
    return f"{name} holds NaN or inf where it should not; {rest}."


def _all_zero(name, cases):
    return f"{name} is all zeros." if _all_are(cases, lambda case: 0.0 * case.want) else None


def _negated(name, cases):
    if _all_are(cases, lambda case: -case.want):
        return f"{name} has the wrong sign, and nothing else is wrong with it."
    return None


def _complemented(name, cases):
    if _all_are(cases, lambda case: 1.0 - case.want):
        return f"{name} is 1 where it should be 0, and 0 where it should be 1, everywhere."
    return None


def _scaled(name, cases):
    """One factor for all entries: the same in all cases, or one that goes with a size."""
    ratios = np.array([_ratio(case) for case in cases])
    scaled = dict(zip(map(id, cases), ratios, strict=True))
    if not _all_are(cases, lambda case: scaled[id(case)] * case.want):
        return None
    if np.allclose(ratios, ratios[0], rtol=1e-6):
        return f"Every entry of {name} is {ratios[0]:.6g} times what it should be."
    for label, sizes in _sizes(cases):
        for power, text in POWERS.items():
            if np.allclose(ratios, sizes**power, rtol=1e-6):
                return f"Every entry of {name} is {text} times what it should be; n is {label}."
    factors = ", ".join(f"{ratio:.4g}" for ratio in ratios)
    return f"In each case all entries of {name} are wrong by one factor: {factors}."


def _ratio(case):
    top = np.argmax(np.abs(case.want))
    return case.got.flat[top] / (case.want.flat[top] or 1.0)


def _sizes(cases):
    """Pairs of ("the length of axis -1 of K", its length in each case), for all inputs."""
    for key in cases[0].inputs:
        arrays = [np.asarray(case.inputs[key]) for case in cases if key in case.inputs]
        for axis in range(-1, -min(X.ndim for X in arrays) - 1, -1):
            if len(arrays) == len(cases):
                sizes = np.array([X.shape[axis] for X in arrays], float)
                yield f"the length of axis {axis} of {key}", sizes


def _rearranged(name, cases):
    def in_order(X):
        return np.sort(X, axis=None)

    if all(close(in_order(case.got), in_order(case.want)).all() for case in cases):
        return f"{name} holds the right numbers in the wrong places."
    return None


def _shifted(name, cases):
    """Off by one number: everywhere, or along each row, or along each column."""
    for axis, line in ((None, ""), (-1, "each row of "), (-2, "each column of ")):
        if axis and not all(c.want.ndim >= -axis and c.want.shape[axis] > 1 for c in cases):
            continue
        if _all_are(cases, partial(_with_mean_gap, axis)) and any(c.want.size > 1 for c in cases):
            return f"A constant is added to {line}{name}, and nothing else is wrong."
    return None


def _with_mean_gap(axis, case):
    """What the case would be if it were off by one number along `axis`."""
    return case.want + (case.got - case.want).mean(axis=axis, keepdims=True)


def _rows_scaled(name, cases):
    def scaled(case):
        top = np.argmax(np.abs(case.want), axis=-1)[..., None]
        want = np.take_along_axis(case.want, top, -1)
        return case.want * np.take_along_axis(case.got, top, -1) / np.where(want == 0, 1.0, want)

    matrices = all(case.want.ndim > 1 and case.want.shape[-1] > 1 for case in cases)
    if matrices and _all_are(cases, scaled):
        return f"Each row of {name} is wrong by one factor of its own."
    return None


# ---- facts that narrow it down ----


def _forbidden(name, cases):
    masks = [_mask(case) for case in cases]
    if any(mask is None for mask in masks):
        return None
    pairs = [(case.wrong, mask) for case, mask in zip(cases, masks, strict=True)]
    if not any((wrong & mask.any(-1, keepdims=True)).any() for wrong, mask in pairs):
        return f"{name} is wrong only for queries that may attend to nothing."
    if not any((wrong & mask).any() for wrong, mask in pairs):
        return f"{name} is wrong only where the mask forbids."
    return None


def _mask(case):
    """A mask among the inputs that fits the array, or where the weights are not 0."""
    for key, value in case.inputs.items():
        if isinstance(value, np.ndarray) and (value.dtype == bool or key.split(".")[-1] == "P"):
            try:
                mask = np.broadcast_to(value != 0, case.want.shape)
            except ValueError:
                continue
            if not mask.all():
                return mask
    return None


def _one_line(name, cases):
    case = max(cases, key=lambda case: case.want.size)
    for axis, length in enumerate(case.want.shape):
        lines = np.unique(np.nonzero(case.wrong)[axis])
        if len(lines) == 1 < length:
            back = case.want.ndim - axis
            word = case.words[-back] if back <= len(case.words) else "batch"
            return f"In the largest case that fails, only {word} {lines[0]} of {name} is wrong."
    count = f"{case.wrong.sum()} of {case.wrong.size}"
    return f"In the largest case that fails, {count} entries of {name} are wrong, by many factors."


SHAPELESS = (_another, _transposed, _not_broadcast)
WHOLE = (
    _another, _transposed, _not_finite, _all_zero, _negated, _complemented, _scaled, _rearranged,
    _shifted, _rows_scaled,
)
PARTS = (_forbidden, _one_line)
