"""Which mistakes, or which slips in the solution, give the numbers of an answer.

A single mistake is tried first, then a slip, then two mistakes. If several explanations give the
same numbers, all are named. An explanation of one array changes no other array that is right: its
words are true of the file.
"""

import itertools
import re
from functools import partial
from itertools import combinations
from typing import NamedTuple

import numpy as np

from npattn.exercises.answers import Trouble, alike
from npattn.exercises.comparing import (
    ANYTHING, MANY, call_in, equal, explains, fitting, prediction, predictions, right_where_it_ran,
    try_slip,
)
from npattn.exercises.slips import sentence, slipped_too, slips
from npattn.exercises.statements import locals_of
from npattn.exercises.symptoms import changed

STANDS = re.compile(r"`(\w+)` stands where `(\w+)` belongs")
BOTH = 1500  # pairs of a mistake and a slip that are tried


class Explanation(NamedTuple):
    """What gives exactly the numbers found."""

    scope: str    # the array that is explained, "" for the whole answer
    sets: tuple   # of tuples of ids of mistakes: any one of them, made together, would do
    beside: str = ""  # a sentence: what is wrong besides


class Diagnosis(NamedTuple):
    """What is known about a wrong answer."""

    explanations: tuple  # of `Explanation`
    facts: tuple         # sentences about what has no explanation
    compared: int        # cases in which there were numbers to compare
    slips: tuple = ()    # sentences: what in the solution would give the numbers found
    repairs: tuple = ()  # sentences: which line of the answer should read how

    @property
    def likely(self):
        """The ids of the mistakes, where a single explanation fits the whole answer; else ()."""
        whole = [each.sets for each in self.explanations if not (each.scope or each.beside)]
        return whole[0][0] if whole and len(whole[0]) == 1 else ()


def explain(wrong, arrays):
    """(smallest sets of mistakes, sentences about slips, ""): what gives these numbers."""
    for size in (1, 2):
        sets = _sets(wrong, arrays, size)
        if sets:
            return sets, (), ""
        written = written_slips(wrong, arrays) if size == 1 else ()
        if written:
            return (), written, ""
    raised = any(isinstance(outcome, Trouble) for outcome in wrong.outcomes)
    tries = ((1, True), (1, ANYTHING), (2, True)) if raised or _overflows(wrong) else ()
    for size, lenient in tries:
        sets = _sets(wrong, arrays, size, lenient)
        if sets:
            return sets, (), ""
    return (), written_slips(wrong, arrays, True) if raised else (), ""


def _overflows(wrong):
    """Whether a mistake gives NaN or inf, for which something else may stand in the answer."""
    if "overflows" not in wrong.tried:
        wrong.tried["overflows"] = not all(
            np.isfinite(X).all() for key in wrong.exercise.mistakes
            for found in predictions(wrong.exercise, wrong.seed, (key,))
            if not isinstance(found, Trouble) for X in found)
    return wrong.tried["overflows"]


def _sets(wrong, arrays, size, lenient=False):
    """Sets of so many mistakes that give these numbers."""
    tried = (made for made in combinations(wrong.exercise.mistakes, size)
             if wrong.exercise.can_be_made(made))
    return tuple(made for made in tried if explains(
        wrong, partial(prediction, wrong.exercise, wrong.seed, made), arrays, lenient=lenient))


def written_slips(wrong, arrays, lenient=False, apart=False, among=slips):
    """Sentences about the slips that give these numbers; () if there are too many to be of use."""
    reference, found = wrong.exercise.reference, []
    for slip in fitting(wrong, among, arrays):
        if explains(wrong, partial(try_slip, wrong, slip), arrays, True, lenient, apart):
            found.append(slip)
            if len(found) > MANY:
                return ()
    likely = [slip for slip in found if _of_one_kind(wrong, slip)] or found
    once = {(slip.number, slip.edit.words): slip for slip in likely[::-1]}
    return [sentence(reference, slip) for slip in [*once.values()][::-1]]


def _of_one_kind(wrong, slip):
    """Whether a slip puts no number for a truth value, or an array for a number, say."""
    names = STANDS.match(slip.edit.words)
    made = locals_of(wrong.exercise.reference, wrong.given[wrong.order[0]].args)
    kinds = {(np.asarray(made[name]).dtype.kind, np.ndim(made[name]) > 0)
             for name in names.groups() if name in made} if names else ()
    return len(kinds) < 2


def exchanged(wrong):
    """The `Diagnosis` by a mistake, or a slip, where two arrays are also exchanged; else None."""
    names = list(wrong.exercise.answer)
    for i, j in combinations(range(len(names)), 2):
        if any(truth[i].shape != truth[j].shape and not isinstance(found, Trouble)
               and (found[i].shape, found[j].shape) != (truth[j].shape, truth[i].shape)
               for found, truth in zip(wrong.outcomes, wrong.truths, strict=True)):
            continue  # not exchanged

        def turned(outcome, i=i, j=j):
            if isinstance(outcome, Trouble):
                return outcome
            order = [{i: j, j: i}.get(k, k) for k in range(len(names))]
            return [outcome[k] for k in order]

        other = wrong._replace(outcomes=[*map(turned, wrong.outcomes)])
        beside = f"{names[i]} and {names[j]} are exchanged."
        for key in wrong.exercise.mistakes:
            predicted = partial(prediction, wrong.exercise, wrong.seed, (key,))
            if explains(other, predicted, range(len(names))):
                return Diagnosis((Explanation("", ((key,),), beside),), (), len(wrong.given))
        written = written_slips(other, range(len(names)))
        if written:
            return Diagnosis((), (beside,), len(wrong.given), tuple(written))
    return None


def and_a_slip(wrong, arrays):
    """((the mistake,),), (), the slip: a mistake and a slip that together give these numbers.

    Only those are tried that both change the array, and not more than BOTH pairs.
    """
    exercise, found = wrong.exercise, {}
    i = wrong.order[0]
    if any(truth.dtype.kind != "f" for truth in wrong.truths[0]):
        return (), (), ""  # truth values agree by chance
    keys = [key for key, mistake in exercise.mistakes.items() if mistake.edit and _moves(
        wrong, partial(prediction, exercise, wrong.seed, (key,)), arrays)]
    moving = _moving(wrong, arrays) if keys else []
    moving.sort(key=lambda slip: "stands where" in slip.edit.words)
    several = [slipped_too(exercise.reference, exercise.mistakes[key].edit) for key in keys]
    for key, both in zip(keys, several, strict=True):
        for slip in moving[: BOTH // (len(keys) * len(exercise.answer))]:
            pair = key, id(slip)
            if pair not in wrong.tried:
                function = both(slip)
                tried = function and call_in(wrong, function, i)
                wrong.tried[pair] = function, tried
            function, tried = wrong.tried[pair]
            if function and (isinstance(tried, Trouble) or all(
                    equal(wrong.outcomes[i][k], tried[k]) for k in arrays)) and explains(
                    wrong, partial(call_in, wrong, function), arrays, True):
                found.setdefault(key, []).append(slip)
    if not 0 < len(found) <= MANY or min(map(len, found.values())) > MANY:
        return (), (), ""
    key, written = min(found.items(), key=lambda item: len(item[1]))
    return ((key,),), (), sentence(exercise.reference, written[0])


def _moving(wrong, arrays):
    """The slips that change one of the arrays, in a few of the trials."""
    candidates = slips(wrong.exercise.reference)
    if "moved" not in wrong.tried:
        moved = np.zeros((len(candidates), len(wrong.exercise.answer)), bool)
        for i in _few(wrong):
            still = np.flatnonzero(~moved.any(axis=1))
            tried = [try_slip(wrong, candidates[n], i) for n in still]
            moved[still] = ~alike(wrong.truths[i], tried)
        wrong.tried["moved"] = moved
    return [*itertools.compress(candidates, wrong.tried["moved"][:, list(arrays)].any(axis=1))]


def _few(wrong):
    """Numbers of a few trials: the most telling one, the two largest, and the last."""
    large = sorted(wrong.order, key=lambda i: -wrong.given[i].size)[:2]
    return dict.fromkeys([wrong.order[0], *large, wrong.order[-1]])


def _moves(wrong, predicted, arrays):
    """Whether a function changes one of the arrays in a trial."""
    for i in range(len(wrong.given)):
        found, truth = predicted(i), wrong.truths[i]
        if isinstance(found, Trouble) or any(not equal(found[k], truth[k]) for k in arrays):
            return True
    return False


def and_a_symptom(wrong, k):
    """((the mistake,),), a sentence on how array k differs from what that mistake gives."""
    found = {}
    for key in wrong.exercise.mistakes:
        others = predictions(wrong.exercise, wrong.seed, (key,))
        pairs = list(zip(wrong.outcomes, others, wrong.truths, strict=True))
        alike = all(type(X) is type(Y) or isinstance(X, Trouble) for X, Y, _ in pairs)
        if alike and not right_where_it_ran(others, wrong.truths, k) and _harmless(pairs, k):
            found[key] = changed(wrong.exercise, wrong.given, wrong.outcomes, others, k)
    found = {key: words for key, words in found.items() if words}
    if len(found) != 1:
        return (), ""
    [(key, words)] = found.items()
    return ((key,),), words


def _harmless(pairs, k):
    """Whether no array but k is right in the answer and wrong with the mistake."""
    return all(
        isinstance(X, Trouble) or isinstance(Y, Trouble)
        or all(equal(Y[j], right[j]) or equal(Y[j], X[j]) for j in range(len(X)) if j != k)
        for X, Y, right in pairs)
