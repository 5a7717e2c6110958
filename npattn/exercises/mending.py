"""Which change of the answer makes it right?"""

import numpy as np

from npattn.exercises.answers import Trouble, alike
from npattn.exercises.comparing import MANY, equal, same_outcomes
from npattn.exercises.probing import unused
from npattn.exercises.repairs import outcomes as outcomes_of
from npattn.exercises.repairs import (
    larger, line_in_file, repairs, said, shortest, source_of_answer, widening,
)
from npattn.exercises.trials import trials

ENOUGH = 40  # numbers in the arguments of a trial that tells one change from another


def repaired(wrong, arrays):
    """Sentences about changes of the answer that make `arrays` right in every trial, MANY at most.

    What else is right must remain so, and in the trials of another seed they must be right, too. An
    argument that is not used is no matter of one change.
    """
    source, changes, found = _changed(wrong)
    i, arrays = _telling(wrong), list(arrays)
    fits = alike(wrong.truths[i], [Trouble("") if X is None else X for X in found])
    good = [change for change, fit in zip(changes, fits, strict=False) if fit[arrays].all()]
    good = good[: 4 * MANY]
    for trial, truth, was in zip(wrong.given, wrong.truths, wrong.outcomes, strict=True):
        if good:
            tried = outcomes_of(wrong.function, source, good, trial, wrong.exercise.answer, False)
            good = [change for change, X in zip(good, tried, strict=False)
                    if X is not None and _mended(X, truth, was, arrays)]
    if good and unused(wrong.exercise, wrong.seed, wrong.function, arrays):
        return ()
    for trial in trials(wrong.exercise, wrong.seed + 1) if good else ():
        truth = [each.value for each in trial.truths]
        tried = outcomes_of(wrong.function, source, good, trial, wrong.exercise.answer, False)
        good = [change for change, X in zip(good, tried, strict=False)
                if X is not None and all(equal(X[k], truth[k]) for k in arrays)]
    return tuple(said(source, change) for change in shortest(good)[:MANY])


def widened(wrong):
    """(a sentence,) if the answer is right in double precision, where it names another one."""
    source = source_of_answer(wrong.function)
    changes = widening(source) if source else []
    right = bool(changes)
    for trial, truth in zip(wrong.given, wrong.truths, strict=True):
        tried = outcomes_of(wrong.function, source, changes, trial, wrong.exercise.answer, False)
        for found in tried if right else ():
            right = found is not None and all(
                X.dtype == Y.dtype and equal(X, Y) for X, Y in zip(found, truth, strict=True))
    return (said(source, changes[0]),) if right else ()


def shrinking(wrong, k):
    """[a sentence] if the error of array k goes with a small number in the answer's text."""
    source, i = _changed(wrong)[0], _telling(wrong)
    if source is None or isinstance(wrong.outcomes[i], Trouble):
        return []
    changes, error = larger(source), _error(wrong, i, wrong.outcomes[i], k)
    tried = outcomes_of(wrong.function, source, changes, wrong.given[i], wrong.exercise.answer)
    for change, found in zip(changes, tried, strict=False):
        grown = 0.0 if found is None else _error(wrong, i, found, k) / error
        if 5.0 < grown < 20.0 or 50.0 < grown < 200.0:
            name, old = list(wrong.exercise.answer)[k], source.text[change.start : change.stop]
            return [f"The error of {name} grows with the number `{old}` in line "
                    f"{line_in_file(source, change.line)}: that is a difference quotient, or an ε "
                    "that does not belong. Write the formula itself."]
    return []


def _error(wrong, i, found, k):
    """The largest error of array k in trial i."""
    X, Y = found[k], wrong.truths[i][k]
    return np.abs(X - Y).max(initial=0.0) if X.shape == Y.shape else np.inf


def _mended(found, truth, was, arrays):
    """Whether `arrays` are right in one trial, and others where they were."""
    return all(equal(found[k], truth[k]) or k not in arrays and not isinstance(was, Trouble)
               and not equal(was[k], truth[k]) for k in range(len(truth)))


def _changed(wrong):
    """(source, repairs, what comes of each in the trial that tells most); the last may be fewer."""
    if "changed" not in wrong.tried:
        source = source_of_answer(wrong.function)
        changes = repairs(source) if source else ()
        first = wrong.given[_telling(wrong)]
        found = [*outcomes_of(wrong.function, source, changes, first, wrong.exercise.answer)] if (
            changes) else []
        wrong.tried["changed"] = source, changes, found
    return wrong.tried["changed"]


def _telling(wrong):
    """A trial of the task that went wrong, large enough to tell one change from another."""
    everything = range(len(wrong.exercise.answer))
    return min(wrong.order, key=lambda i: (
        same_outcomes(*([each[i]] for each in (wrong.given, wrong.outcomes, wrong.truths)),
                      everything),
        wrong.given[i].derived, wrong.given[i].size < ENOUGH, wrong.given[i].size))
