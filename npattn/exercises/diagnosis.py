"""Which mistake gives exactly these numbers?

An exercise can make its own mistakes, one or two at a time. What each would return, in every case,
is compared with what the learner's function returned: the same shapes, the same numbers to
rounding, and in the same cases no numbers but the same exception. Two mistakes are tried only
where no single one fits. If several explanations give the same numbers, all are named; where the
whole answer has none, its arrays are tried one by one, and what is left is described (facts.py),
not guessed at.
"""

from functools import lru_cache, partial
from itertools import combinations
from typing import NamedTuple

from npattn.exercises.answers import Trouble, call, close
from npattn.exercises.facts import facts_about, right_by_axes
from npattn.exercises.trials import trials


class Explanation(NamedTuple):
    """What gives exactly the numbers found."""

    scope: str    # the array that is explained, "" for the whole answer
    sets: tuple   # of tuples of ids of mistakes: any one of them, made together, would do


class Diagnosis(NamedTuple):
    """What is known about a wrong answer."""

    explanations: tuple  # of `Explanation`
    facts: tuple         # sentences about what has no explanation
    compared: int        # cases in which there were numbers to compare

    @property
    def likely(self):
        """The ids of the mistakes, where a single explanation fits the whole answer; else ()."""
        whole = [sets for scope, sets in self.explanations if not scope and len(sets) == 1]
        return whole[0][0] if whole else ()


def diagnose(exercise, seed, outcomes):
    """The `Diagnosis` of wrong `outcomes`, one for each of `trials(exercise, seed)`."""
    compared = _compared(outcomes, outcomes)
    if not compared:
        return Diagnosis((), (), 0)
    explain = partial(_explain, exercise, seed, outcomes)
    everything, truths = range(len(exercise.answer)), predictions(exercise, seed, ())
    if _same(outcomes, truths, everything):
        return Diagnosis((), ("The formula is right, but digits get lost on the way.",), compared)
    sets = explain(everything)
    if sets:
        compared = _compared(outcomes, predictions(exercise, seed, sets[0]))
        return Diagnosis((Explanation("", sets),), (), compared)
    pairs = zip(outcomes, truths, strict=True)
    right = [_same([found], [truth], everything) for found, truth in pairs]
    by_axes = right_by_axes(exercise, trials(exercise, seed), right)
    explanations, facts = [], []
    for k, name in enumerate(exercise.answer):
        if _right_where_it_ran(outcomes, truths, k):
            if compared < len(outcomes):
                facts += facts_about(exercise, trials(exercise, seed), outcomes, k, by_axes)
            continue
        sets = explain([k]) if len(exercise.answer) > 1 else ()
        if sets:
            explanations.append(Explanation(name, sets))
        else:
            facts += facts_about(exercise, trials(exercise, seed), outcomes, k, by_axes)
    return Diagnosis(tuple(explanations), tuple(dict.fromkeys(facts)), compared)


@lru_cache(maxsize=2**14)
def predictions(exercise, seed, made):
    """What comes out of each trial where the mistakes `made` are made."""
    function = partial(exercise.mistaken, frozenset(made))
    return tuple(call(function, trial, exercise.answer) for trial in trials(exercise, seed))


def _explain(exercise, seed, outcomes, arrays):
    """The smallest sets of mistakes that give the same numbers in `arrays`, () if none does."""
    for size in (1, 2):
        sets = tuple(
            made for made in combinations(exercise.mistakes, size)
            if _same(outcomes, predictions(exercise, seed, made), arrays)
        )
        if sets:
            return sets
    return ()


def _same(outcomes, others, arrays):
    """Whether two functions did the same in every trial, as far as `arrays` tell."""
    for found, other in zip(reversed(outcomes), reversed(others), strict=True):  # large ones first
        if isinstance(other, Trouble) and other.unsettled:
            continue
        if isinstance(found, Trouble) or isinstance(other, Trouble):
            if type(found) is not type(other) or found.error != other.error:
                return False
        elif not all(_equal(found[k], other[k]) for k in arrays):
            return False
    return True


def _compared(outcomes, others):
    """In how many trials both functions gave numbers."""
    pairs = zip(outcomes, others, strict=True)
    return sum(not any(isinstance(result, Trouble) for result in pair) for pair in pairs)


def _right_where_it_ran(outcomes, truths, k):
    """Whether array k needs no explanation, whatever is wrong beside it."""
    pairs = zip(outcomes, truths, strict=True)
    return all(_equal(X[k], Y[k]) for X, Y in pairs if not isinstance(X, Trouble))


def _equal(X, Y):
    return X.shape == Y.shape and bool(close(X, Y).all())
