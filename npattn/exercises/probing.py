"""What is found out about a wrong answer by calling it, or the solution, with other inputs."""

import inspect
from functools import lru_cache

import numpy as np

from npattn.exercises.answers import Trouble, call, close
from npattn.exercises.derived import cut, free_lengths, lengths_in, stated_shapes
from npattn.exercises.trials import cases_of, trial_like, trials


def unused(exercise, seed, function, arrays):
    """Sentences about arguments that must move an array of the answer, and do not.

    arrays  numbers of the arrays that are wrong
    """
    looks = [_still(exercise, function, arrays, *pair) for pair in _ordinary(exercise, seed)]
    return [f"{key} does not change where {name} does, and it must."
            for key, name in looks[0] if all((key, name) in look for look in looks)]


def right_again(exercise, seed, function, arrays, lengths):
    """Whether the `arrays` of an answer are right in one more case, with these lengths.

    It is cut out of the largest case in which no number is extreme. None if that cannot be.
    """
    trial = _again(exercise, seed, tuple(sorted(lengths.items())))
    if trial is None:
        return None
    found, right = (call(f, trial, exercise.answer, False) for f in (function, exercise.reference))
    return not isinstance(found, Trouble) and not any(_differ(found[k], right[k]) for k in arrays)


@lru_cache(maxsize=256)
def _again(exercise, seed, lengths):
    """The trial of `right_again`, or None; what is right in it, the solution tells."""
    case, _ = _ordinary(exercise, seed)[-1]
    have = lengths_in(exercise, case.inputs)
    free = free_lengths(exercise, case.inputs)
    known = all(name in free and 0 < n <= have[name] for name, n in lengths)
    if not known or any(np.asarray(X).dtype.kind == "i" for X in case.inputs):
        return None  # an integer may be a length or a place
    return trial_like(exercise, case, cut(exercise, case.inputs, dict(lengths)))


def right_elsewhere(exercise, seed, function, arrays):
    """([inputs], [whether the `arrays` of an answer are right]) of the trials of another seed."""
    given, right = trials(exercise, seed), []
    for trial in given:
        found = call(function, trial, exercise.answer, False)
        right.append(not isinstance(found, Trouble) and not any(
            _differ(found[k], trial.truths[k].value) for k in arrays))
    return [dict(trial.inputs(exercise.reference)) for trial in given], right


def _still(exercise, function, arrays, case, trial):
    """[(array, argument), ...]: what does not move in one case, and in the solution does."""
    names = list(inspect.signature(exercise.forward or exercise.reference).parameters)
    before = call(function, trial, exercise.answer, False)
    right = call(exercise.reference, trial, exercise.answer, False)
    found = []
    for j, name in enumerate(names[: len(case.inputs)]):
        moved = _moved(case.inputs[j])
        if moved is None or isinstance(before, Trouble):
            continue
        inputs = (*case.inputs[:j], moved, *case.inputs[j + 1 :])
        try:
            if exercise.forward is not None:
                inputs = trial.args[0], exercise.forward(*inputs)[1]
        except (ValueError, IndexError, TypeError):  # a number of heads, say, must divide a width
            continue
        changed = trial._replace(args=inputs)
        wanted, after = (call(f, changed, exercise.answer, False)
                         for f in (exercise.reference, function))
        if not isinstance(wanted, Trouble) and not isinstance(after, Trouble):
            found += [(key, name) for k, key in enumerate(exercise.answer) if k in arrays
                      and before[k].any() and _differ(right[k], wanted[k])
                      and not _differ(before[k], after[k])]
    return found


def one_part(exercise, given, outcomes, k):
    """[a sentence] if array k holds what comes of one index along an axis of dY only."""
    bad = [(trial, outcome[k]) for trial, outcome in zip(given, outcomes, strict=True)
           if not isinstance(outcome, Trouble) and _differ(outcome[k], trial.truths[k].value)]
    if not bad or exercise.forward is None or any(isinstance(t.args[0], tuple) for t, _ in bad):
        return []
    name, upstream = list(exercise.answer)[k], next(iter(bad[0][0].inputs(exercise.reference)))[0]
    axes = stated_shapes(exercise).get(upstream, "").split()
    for axis, word in zip(range(-1, -1 - len(axes), -1), axes[::-1], strict=True):
        for index, which in ((0, "first"), (-1, "last")):
            if all(_is_part(exercise, *pair, k, axis, index) for pair in bad):
                along = "leading axis" if word == "..." else f"axis {word}"
                return [f"{name} holds only what comes of the {which} index along the {along} of "
                        f"{upstream}; it must collect all of them."]
    return []


def _is_part(exercise, trial, got, k, axis, index):
    dY = trial.args[0]
    if np.ndim(dY) < -axis:
        return False
    part = np.zeros_like(dY)
    place = (..., index, *[slice(None)] * (-axis - 1))
    part[place] = dY[place]
    wanted = call(exercise.reference, trial._replace(args=(part, *trial.args[1:])),
                  exercise.answer, False)
    return not isinstance(wanted, Trouble) and not _differ(got, wanted[k])


def _ordinary(exercise, seed):
    """The two largest cases of the task in which no number is extreme, with their trials."""
    pairs = zip(cases_of(exercise, seed), trials(exercise, seed), strict=True)

    def order(pair):
        floats = [X for X in pair[0].inputs if isinstance(X, np.ndarray) and X.dtype.kind == "f"]
        calm = all((np.abs(X) < 50.0).all() for X in floats)
        return calm, not pair[1].derived, pair[1].size

    return sorted(pairs, key=order)[-2:]


def _moved(X):
    """Another value of an argument; None where there is none to be had."""
    if isinstance(X, np.ndarray) and X.dtype == bool:
        return ~X
    if isinstance(X, np.ndarray) and X.dtype.kind == "i":
        return X - (X > 1)
    if isinstance(X, bool) or X is None:
        return None if X is None else not X
    if isinstance(X, int):
        return X + 1
    return type(X)(0.75 * X + 0.1) if isinstance(X, float) else (0.75 * X + 0.1).astype(X.dtype)


def _differ(X, Y):
    return np.shape(X) != np.shape(Y) or not close(X, Y).all()
