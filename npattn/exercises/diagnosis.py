"""Which mistake gives exactly these numbers?

An exercise can make its own mistakes, one or two at a time, and slips in its solution. What each
would return, in every case, is compared with what the learner's function returned: the same shapes,
the same numbers to rounding, and in the same cases no numbers but the same exception. A single
mistake is tried first, then a slip, then two mistakes. If several explanations give the same
numbers, all are named; where the whole answer has none, its arrays are tried one by one, and what
is left is described (symptoms.py), not guessed at.

An explanation of one array changes no other array that is right: its words are true of the file.
"""

import itertools
from functools import lru_cache, partial
from itertools import combinations
from typing import NamedTuple

import numpy as np

from npattn.exercises.answers import Trouble, call, close
from npattn.exercises.probing import one_part, unused
from npattn.exercises.slips import sentence, slipped, slips
from npattn.exercises.symptoms import split_by, symptoms
from npattn.exercises.trials import trials

MANY = 3  # more slips than these give the same numbers: none of them is named


class Explanation(NamedTuple):
    """What gives exactly the numbers found."""

    scope: str    # the array that is explained, "" for the whole answer
    sets: tuple   # of tuples of ids of mistakes: any one of them, made together, would do


class Diagnosis(NamedTuple):
    """What is known about a wrong answer."""

    explanations: tuple  # of `Explanation`
    facts: tuple         # sentences about what has no explanation
    compared: int        # cases in which there were numbers to compare
    slips: tuple = ()    # sentences: what in the solution would give the numbers found

    @property
    def likely(self):
        """The ids of the mistakes, where a single explanation fits the whole answer; else ()."""
        whole = [sets for scope, sets in self.explanations if not scope and len(sets) == 1]
        return whole[0][0] if whole else ()


class Wrong(NamedTuple):
    """A wrong answer and what is compared with it."""

    exercise: object
    seed: int
    outcomes: list
    given: tuple
    truths: tuple
    order: list  # of trials, those first that tell most: with numbers, then small ones
    tried: dict  # {(id of a slip, trial): what comes out}


def diagnose(exercise, seed, function, outcomes, judged):
    """The `Diagnosis` of wrong `outcomes`, one for each of `trials(exercise, seed)`.

    judged  for each outcome a tuple of `Answer`, or a Trouble
    """
    compared = _compared(outcomes, outcomes)
    if not compared:
        return Diagnosis((), (), 0)
    given, truths = trials(exercise, seed), predictions(exercise, seed, ())
    order = sorted(range(len(given)), key=lambda i: (
        isinstance(outcomes[i], Trouble), given[i].derived, given[i].size
    ))
    wrong = Wrong(exercise, seed, outcomes, given, truths, order, {})
    everything = range(len(exercise.answer))
    if _same(given, outcomes, truths, everything):
        return Diagnosis((), ("The formula is right, but digits get lost on the way.",), compared)
    sets, written = _explain(wrong, everything)
    if sets:
        compared = _compared(outcomes, predictions(exercise, seed, sets[0]), truths)
        return Diagnosis((Explanation("", sets),), _raises(wrong, sets[0]), compared)
    if written:
        bad = [k for k in everything if not _right_where_it_ran(outcomes, truths, k)]
        facts = [symptoms(exercise, given, function, outcomes, judged, k, True) for k in bad]
        facts.append(_raises(wrong, ()))
        return Diagnosis((), tuple(itertools.chain(*facts)), compared, tuple(written))
    explanations, facts, told, open_ = [], [], [], []
    triples = zip(given, outcomes, truths, strict=True)
    right = [_same([trial], [found], [truth], everything) for trial, found, truth in triples]
    split = split_by(exercise, given, right)
    for k, name in enumerate(exercise.answer):
        if _right_where_it_ran(outcomes, truths, k):
            continue
        sets, written = _explain(wrong, [k]) if len(exercise.answer) > 1 else ((), ())
        if sets:
            explanations.append(Explanation(name, sets))
        elif written:
            told += [f"In {name}: {text}" for text in written]
        else:
            open_.append(k)
            facts += symptoms(exercise, given, function, outcomes, judged, k)
            facts += one_part(exercise, given, outcomes, k)
    facts += split
    facts += unused(exercise, seed, function, open_) if open_ else []
    fine = all(_right_where_it_ran(outcomes, truths, k) for k in everything)
    if fine and not facts:
        verb = "are" if len(exercise.answer) > 1 else "is"
        facts += [f"{', '.join(exercise.answer)} {verb} right in every case that ran."]
    return Diagnosis(tuple(explanations), tuple(dict.fromkeys(facts)), compared, tuple(told))


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


def _explain(wrong, arrays):
    """(smallest sets of mistakes, ()), or ((), sentences about slips), that give these numbers."""
    for size in (1, 2):
        tried = (made for made in combinations(wrong.exercise.mistakes, size)
                 if wrong.exercise.can_be_made(made))
        sets = tuple(made for made in tried if _explains(
            wrong, partial(prediction, wrong.exercise, wrong.seed, made), arrays))
        if sets:
            return sets, ()
        written = _slips(wrong, arrays) if size == 1 else ()
        if written:
            return (), written
    sets = tuple((made,) for made in wrong.exercise.mistakes if _explains(
        wrong, partial(prediction, wrong.exercise, wrong.seed, (made,)), arrays, lenient=True))
    raised = any(isinstance(outcome, Trouble) for outcome in wrong.outcomes)
    return sets, _slips(wrong, arrays, True) if raised and not sets else ()


def _raises(wrong, made):
    """(a sentence,) where the answer raises in cases in which the mistakes `made` do not."""
    pairs = zip(wrong.outcomes, predictions(wrong.exercise, wrong.seed, made), strict=True)
    errors = [found.error or "nothing of use" for found, other in pairs
              if isinstance(found, Trouble) and not isinstance(other, Trouble)]
    total = len(wrong.outcomes)
    return tuple(f"Besides, it raises {error} in {len(errors)} of {total} cases."
                 for error in errors[:1])


def _slips(wrong, arrays, lenient=False):
    """Sentences about the slips that give these numbers; () if there are too many to be of use."""
    reference, found = wrong.exercise.reference, []
    for slip in slips(reference):
        if _explains(wrong, partial(_try, wrong, slip), arrays, True, lenient):
            found.append(sentence(reference, slip))
            if len(found) > MANY:
                return ()
    return found


def _try(wrong, slip, i):
    """What comes out of trial i with a slip."""
    key = id(slip), i
    if key not in wrong.tried:
        function = slipped(wrong.exercise.reference, slip)
        wrong.tried[key] = call(function, wrong.given[i], wrong.exercise.answer, False)
    return wrong.tried[key]


def _explains(wrong, predicted, arrays, number=False, lenient=False):
    """Whether a function did what the answer does in `arrays`, and harms no array that is right.

    predicted  what the function returns in trial i
    number     whether a wrong number must be among it, and not only an exception
    lenient    whether the answer may raise where the function does not, and may be right, or 0,
               where it overflows; two wrong cases must then be alike
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
        if lenient and not number:
            other = _without_overflow(found, other, truth)
        if not all(_equal(found[k], other[k]) for k in arrays):
            return False
        if not all(_equal(truth[k], other[k]) or _equal(found[k], other[k]) for k in others):
            return False
        telling += any(not _equal(found[k], truth[k]) for k in arrays)
    return telling > lenient


def _same(given, outcomes, others, arrays):
    """Whether two functions did the same in every trial, as far as `arrays` tell."""
    for trial, found, other in zip(given, outcomes, others, strict=True):
        if isinstance(found, Trouble) or isinstance(other, Trouble):
            if type(found) is not type(other) or found.error != other.error:
                return False
        elif not all(_equal(found[k], other[k]) for k in arrays):
            return False
    return True


def _compared(outcomes, others, truths=None):
    """In how many trials both functions gave numbers, and the second no NaN of its own."""
    triples = zip(outcomes, others, truths or others, strict=True)
    return sum(
        not (isinstance(found, Trouble) or isinstance(other, Trouble))
        and all(map(_equal, other, _without_overflow(found, other, truth)))
        for found, other, truth in triples
    )


def _without_overflow(found, others, truths):
    """The `others`; for NaN or inf where there must be a number, what is right, or 0, if found."""
    return [
        np.where(np.isfinite(Y) & ~np.isfinite(X) & (close(Z, Y) | (Z == 0.0)), Z, X)
        if X.shape == Y.shape == Z.shape and X.dtype.kind == "f" else X
        for Z, X, Y in zip(found, others, truths, strict=True)
    ]


def _right_where_it_ran(outcomes, truths, k):
    """Whether array k needs no explanation, whatever is wrong beside it."""
    pairs = zip(outcomes, truths, strict=True)
    return all(_equal(X[k], Y[k]) for X, Y in pairs if not isinstance(X, Trouble))


def _equal(X, Y):
    return np.shape(X) == np.shape(Y) and bool(close(X, Y).all())
