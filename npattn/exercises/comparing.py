"""What an answer, a mistake and a slip return in the trials, and whether that is the same."""

import itertools
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from npattn.edits import source_of
from npattn.exercises.answers import Trouble, alike, call, close
from npattn.exercises.slips import slipped
from npattn.exercises.trials import trials

ANYTHING = 2
MANY = 3  # more than these give the same numbers: none of them is named


class Wrong(NamedTuple):
    """A wrong answer and what is compared with it."""

    exercise: object
    seed: int
    function: object
    outcomes: list
    given: tuple
    truths: tuple
    order: list  # of trials, those first that tell most: with numbers, then small ones
    tried: dict  # what came out so far: {(id of a slip, trial): …}, and more (alike_first)


def predictions(exercise, seed, made):
    """What comes out of each trial where the mistakes `made` are made."""
    return tuple(prediction(exercise, seed, made, i) for i in range(len(trials(exercise, seed))))


@lru_cache(maxsize=2**15)
def prediction(exercise, seed, made, i):
    """What comes out of trial i where the mistakes `made` are made."""
    trial = trials(exercise, seed)[i]
    if trial.words in {exercise.unsettled.get(key) for key in made}:
        return Trouble("it may do anything here", "Unsettled")
    return call(exercise.with_mistakes(made), trial, exercise.answer, False)


def call_in(wrong, function, i):
    """What comes out of `function` in trial i of a wrong answer."""
    guarded = "np.add.at" in source_of(wrong.exercise.reference)
    return call(function, wrong.given[i], wrong.exercise.answer, False, guarded)


def try_slip(wrong, slip, i):
    """What comes out of trial i with a slip."""
    key = id(slip), i
    if key not in wrong.tried:
        function = slipped(wrong.exercise.reference, slip)
        wrong.tried[key] = call_in(wrong, function, i)
    return wrong.tried[key]


def fitting(wrong, among, arrays):
    """The slips that fit `arrays` of the answer in the trial that tells most."""
    i, candidates = wrong.order[0], among(wrong.exercise.reference)
    key = among, id(wrong.outcomes)
    if among not in wrong.tried:
        wrong.tried[among] = [try_slip(wrong, slip, i) for slip in candidates]
    if key not in wrong.tried:
        tried = wrong.tried[among]
        raised = np.array([isinstance(X, Trouble) for X in tried]) & wrong.given[i].derived
        kept = wrong.outcomes  # as long as its id is a key
        wrong.tried[key] = raised, alike(wrong.outcomes[i], tried), kept
    raised, fits, _ = wrong.tried[key]
    chosen = raised | fits[:, list(arrays)].all(axis=1)
    return itertools.compress(candidates, chosen)


def explains(wrong, predicted, arrays, number=False, lenient=False, apart=False):
    """Whether a function did what the answer does in `arrays`, and harms no array that is right.

    predicted  what the function returns in trial i
    number     whether a wrong number must be among it, and not only an exception
    lenient    whether the answer may raise where the function does not, and may be right, or 0,
               where it overflows, or if ANYTHING, any number; two wrong cases must then be alike
    apart      whether other arrays do not matter
    """
    others = [k for k in range(len(wrong.exercise.answer)) if k not in arrays]
    telling = 0
    for i in wrong.order:
        found, other, truth = wrong.outcomes[i], predicted(i), wrong.truths[i]
        if isinstance(other, Trouble) and other.unsettled:
            continue
        if isinstance(found, Trouble) or isinstance(other, Trouble):
            alike = type(found) is type(other) and found.error == other.error
            spared = lenient and not isinstance(other, Trouble)
            if not (alike or spared or wrong.given[i].derived):  # there it depends on the writing
                return False
            telling += alike and not number
            continue
        guarded = lenient == ANYTHING and _guarded(found, other, truth)
        if lenient and not number:
            other = without_overflow(found, other, truth, guarded)
        if not all(equal(found[k], other[k]) for k in arrays):
            return False
        if not apart and not all(equal(truth[k], other[k]) or _alike(found[k], other[k])
                                 for k in others):
            return False
        telling += not guarded and any(not equal(found[k], truth[k]) for k in arrays)
    return telling > bool(lenient)


def same_outcomes(given, outcomes, others, arrays):
    """Whether two functions did the same in every trial, as far as `arrays` tell."""
    for trial, found, other in zip(given, outcomes, others, strict=True):
        if isinstance(found, Trouble) or isinstance(other, Trouble):
            if type(found) is not type(other) or found.error != other.error:
                return False
        elif not all(equal(found[k], other[k]) for k in arrays):
            return False
    return True


def comparable(outcomes, others, truths=None):
    """In how many trials both functions gave numbers, and the second no NaN of its own."""
    triples = zip(outcomes, others, truths or others, strict=True)
    return sum(not (isinstance(found, Trouble) or isinstance(other, Trouble))
               and not _guarded(found, other, truth) for found, other, truth in triples)


def without_overflow(found, others, truths, anything=False):
    """The `others`; for NaN or inf where there must be a number, what is right, or 0, if found."""
    return [
        np.where(_spoilt(X, Y) & np.isfinite(Z) & (anything | close(Z, Y) | (Z == 0.0)), Z, X)
        if X.shape == Y.shape == Z.shape and X.dtype.kind == "f" else X
        for Z, X, Y in zip(found, others, truths, strict=True)
    ]


def _guarded(found, others, truths):
    """Whether a number was found where the others have NaN or inf and must not."""
    return any((_spoilt(X, Y) & np.isfinite(Z)).any()
               for Z, X, Y in zip(found, others, truths, strict=True)
               if X.shape == Y.shape == Z.shape and X.dtype.kind == "f")


def _spoilt(X, Y):
    return np.isfinite(Y) & ~np.isfinite(X)


def right_where_it_ran(outcomes, truths, k):
    """Whether array k needs no explanation, whatever is wrong beside it."""
    pairs = zip(outcomes, truths, strict=True)
    return all(equal(X[k], Y[k]) for X, Y in pairs if not isinstance(X, Trouble))


def _alike(X, Y):
    """Whether arrays are equal where the first is a number."""
    return np.shape(X) == np.shape(Y) and bool((close(X, Y) | ~np.isfinite(X)).all())


def equal(X, Y):
    """Whether two arrays have one shape and the same numbers, up to rounding."""
    return np.shape(X) == np.shape(Y) and bool(close(X, Y).all())
