"""Where the wrong numbers stand, if nothing says what they are.

A symptom is a function (name, cases) -> a sentence that holds in every one of the cases, or None.
"""

import numpy as np

from npattn.exercises.answers import close
from npattn.exercises.symptoms.case import sums_to_one


def forbidden(name, cases):
    """Wrong only where the mask forbids, or for queries that may attend to nothing."""
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


def on_diagonal(name, cases):
    """Wrong only on the diagonal, or only off it."""
    place = _of_diagonal(cases)
    return f"{name} is wrong only {place} the diagonal." if place else None


def sign_of_diagonal(name, cases):
    """The wrong sign on the diagonal, or off it."""
    place = _of_diagonal(cases)
    if place and all(close(case.got[case.wrong], -case.want[case.wrong]).all() for case in cases):
        return f"{name} has the wrong sign {place} the diagonal, and nothing else is wrong with it."
    return None


def _of_diagonal(cases):
    """"on" or "off" the diagonal, where all that is wrong is; None if it is elsewhere, too."""
    if not all(case.want.ndim > 1 and case.want.shape[-1] > 1 for case in cases):
        return None
    pairs = [(case.wrong, np.eye(*case.want.shape[-2:], dtype=bool)) for case in cases]
    if not any((wrong & ~same).any() for wrong, same in pairs):
        return "on"
    return None if any((wrong & same).any() for wrong, same in pairs) else "off"


def on_padding(name, cases):
    """Wrong only on padding, or only off it."""
    places = [_padding(case) for case in cases]
    if any(place is None for place in places):
        return None
    pairs = [(case.wrong, place) for case, place in zip(cases, places, strict=True)]
    if not any((wrong & ~place).any() for wrong, place in pairs):
        return f"{name} is wrong only on padding."
    if not any((wrong & place).any() for wrong, place in pairs):
        return f"{name} is right on padding; all that is wrong is elsewhere."
    return None


def _padding(case):
    """Where the last axis, or the token, is padding, in the shape of the array; None if unknown."""
    inputs = {key.split(".")[-1]: value for key, value in case.inputs.items()}
    if "valid_lens" in inputs and case.want.ndim > 1 and np.ndim(inputs["valid_lens"]) == 1:
        lens = inputs["valid_lens"].reshape(-1, *[1] * (case.want.ndim - 1))
        place = np.arange(case.want.shape[-1]) >= lens
    elif "targets" in inputs and "pad" in inputs:
        place = (inputs["targets"] == inputs["pad"])[..., None]
    else:
        return None
    return np.broadcast_to(place, case.want.shape)


def by_sign(name, cases):
    """Wrong only where the input, of the same shape, has one sign."""
    pairs = [(case.wrong, _input_like(case)) for case in cases]
    if any(X is None for _, X in pairs):
        return None
    for words, where in (("negative", np.less), ("positive", np.greater)):
        mixed = any(where(X, 0).any() and not where(X, 0).all() for _, X in pairs)
        if mixed and not any((wrong & ~where(X, 0)).any() for wrong, X in pairs):
            return f"{name} is wrong only where X is {words}."
    return None


def _input_like(case):
    inputs = {key.split(".")[-1]: value for key, value in case.inputs.items()}
    X = inputs.get("X")
    return X if isinstance(X, np.ndarray) and X.shape == case.want.shape else None


def rows_sum(name, cases):
    """Rows that should sum to 1 and do not."""
    if all(case.want.ndim and sums_to_one(case.want, -1) for case in cases):
        if not any(sums_to_one(case.got, -1) for case in cases):
            return f"The rows of {name} do not sum to 1."
    return None


def one_line(name, cases):
    """Where the wrong entries of the largest case stand, and how many there are."""
    case = max(cases, key=lambda case: case.want.size)
    wrong = case.wrong
    for axis, length in enumerate(case.want.shape):
        lines = np.unique(np.nonzero(wrong)[axis])
        if len(lines) == 1 < length:
            back = case.want.ndim - axis
            word = case.words[-back] if back <= len(case.words) else "batch"
            return f"In the largest case that fails, only {word} {lines[0]} of {name} is wrong."
    count = f"{wrong.sum()} of {wrong.size}"
    return f"In the largest case that fails, {count} entries of {name} are wrong{_factors(case)}."


def _factors(case):
    """In which way they are wrong, as far as ratios tell."""
    if not case.real:
        return ""
    got, want = case.got[case.wrong], case.want[case.wrong]
    if (want == 0.0).all():
        return ", all of which should be 0"
    if (want == 0.0).any() or not np.isfinite(got).all():
        return ""
    ratios = got / want
    return f", each by the factor {ratios[0]:.4g}" if np.ptp(ratios) < 1e-6 * abs(ratios[0]) else (
        ", by many factors")
