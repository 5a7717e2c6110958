"""What tells the cases that are right from those that are not: a property of the arguments.

    All is right where Tq = Tk, and nowhere else.
"""

import itertools

import numpy as np

from npattn.exercises.derived import stated_shapes
from npattn.exercises.symptoms.case import forbids, lengths_of


def split_by(exercise, trials, right, what="All", again=None, others=None):
    """[a sentence] if a property of the arguments decides where all is right, else [].

    right   a bool for each trial
    what    is right, an array of the answer or all of them
    again   {name: length} -> whether it is right in another case of these lengths; None if unknown
    others  () -> ([inputs], [whether it is right]) of other trials, in which it must hold as well
    """
    if all(right) or not any(right):
        return []
    given = [dict(trial.inputs(exercise.reference)) for trial in trials]
    found = _split(exercise, given, right, what, again)
    if found and others:
        given, right = others()
        if found != (_split(exercise, given, right, what, None, found) if not all(right) else []):
            return []
    return found


def _split(exercise, given, right, what, again, wanted=None):
    """What `split_by` says; where something is `wanted`, that or nothing."""
    said = [_split_by_rank(given, right, what)]
    lengths = [lengths_of(exercise, inputs) for inputs in given]
    for words, holds, pair in _properties(exercise, given, lengths):
        if holds == list(right) and _again(words, again, lengths, pair):
            said.append([f"{what} is right where {words}, and nowhere else."])
    said += _wrong_only(given, right, what)
    said = [sentences for sentences in said if sentences]
    if wanted:
        return wanted if wanted in said else []
    return said[0] if said else []


def _again(words, again, lengths, pair):
    """Whether more cases bear out what relates the lengths of a pair."""
    such = dict.fromkeys(tuple(each.items()) for each in _such(lengths, *pair)) if (
        again and pair) else {}
    found = (again(dict(each)) for each in such)
    if " is not " in words:
        return not such or not all(found)
    return not any(each is False for each in found)


def _such(lengths, one, two, more):
    """Lengths with one = two + more, made of those of the cases; two is None for one = more."""
    for found in lengths:
        if two is None:
            yield {one: more}
        elif min(found[one], found[one] - more) > 0 and found[two] >= found[one] - more:
            yield {one: found[one], two: found[one] - more}
        elif min(found[two], found[two] + more) > 0 and found[one] >= found[two] + more:
            yield {one: found[two] + more, two: found[two]}


def _wrong_only(given, right, what):
    """[[a sentence], ...]: properties that tell something and that all that is wrong has."""
    def bounded(X):
        return not isinstance(X, np.ndarray) or (np.abs(X[np.isfinite(X)]) < 50.0).all()

    traits = (
        ("numbers are large", [not all(map(bounded, Xs.values())) for Xs in given]),
        ("a query may attend to nothing",
         [any(forbids(key, X, dead=True) for key, X in Xs.items()) for Xs in given]),
        ("a key is forbidden", [any(forbids(key, X) for key, X in Xs.items()) for Xs in given]),
    )
    said = "All that is wrong is" if what == "All" else f"{what} is wrong only"
    found = [[f"{said} where {words}."] for words, has in traits if not all(has) and all(
        has[i] for i, each in enumerate(right) if not each)]
    name = next(iter(given[0]))
    bad = {np.ndim(Xs[name]) for Xs, each in zip(given, right, strict=True) if not each}
    return [*found, _wrong_ranks(name, given, right, bad) if what == "All" else []]


def _split_by_rank(given, right, what):
    name = next(iter(given[0]))
    good, bad = (
        {np.ndim(inputs[name]) for inputs, each in zip(given, right, strict=True) if each == wanted}
        for wanted in (True, False)
    )
    if not good or not bad or good & bad:
        return []
    if len(good) > 1 and min(good) < max(bad) and min(bad) < max(good):
        return []
    here, there = (" or ".join(map(str, sorted(ndims))) for ndims in (good, bad))
    return [
        f"{what} is right where {name} has {_axes(here)}, and never where it has {there}. Write "
        "for the last axes, with any number in front of them: axis=-1, swapaxes(-1, -2), `...` in "
        "einsum."
    ]


def _wrong_ranks(name, given, right, bad):
    """[a sentence] where all that is wrong has few of the numbers of axes, and others are right."""
    ranks = {np.ndim(inputs[name]) for inputs in given}
    most = [each for each, inputs in zip(right, given, strict=True) if np.ndim(inputs[name]) in bad]
    if len(ranks - bad) < 2 or 2 * sum(most) > len(most):
        return []
    axes = " or ".join(map(str, sorted(bad)))
    return [f"All that is wrong is where {name} has {_axes(axes)}; with another number of them "
            "everything is right."]


def _axes(number):
    return f"{number} {'axis' if number == '1' else 'axes'}"


def _properties(exercise, given, lengths):
    """(words, for each trial whether they hold, the lengths that they relate or None), ..."""
    zeros = [any(forbids(key, X) for key, X in inputs.items()) for inputs in given]
    dead = [any(forbids(key, X, dead=True) for key, X in inputs.items()) for inputs in given]
    yield "every query may attend to something", [not each for each in dead], None
    yield "no key is forbidden", [not each for each in zeros], None
    arrays = [[X for X in inputs.values() if isinstance(X, np.ndarray)] for inputs in given]
    one_array = [len({*map(id, Xs)}) == len(Xs) for Xs in arrays]
    yield "no two arguments are one array", one_array, None
    moderate = [all((np.abs(X) < 50.0).all() for X in Xs) for Xs in arrays]
    yield "numbers are moderate", moderate, None
    stated = {axis for shape in stated_shapes(exercise).values() for axis in shape.split()}
    upstream = next(iter(given[0])).split("[")[0] if exercise.forward else None
    names = [name for name in lengths[0] if name != upstream and all(
        name in found for found in lengths)]
    for name in names:
        if name not in stated:
            yield f"{name} is positive", [found[name] > 0 for found in lengths], None
        for value in sorted({0, 1} | {found[name] for found in lengths if name not in stated}):
            holds = [found[name] == value for found in lengths]
            pair = (name, None, value) if name in stated else None
            if value in (0, 1) or sum(holds) > 1:
                yield f"{name} = {value}", holds, pair
            yield f"{name} is not {value}", [not each for each in holds], pair
    for more, words in ((0, ""), (1, " + 1"), (-1, " − 1")):
        for one, two in itertools.combinations(names, 2):
            holds = [found[one] == found[two] + more for found in lengths]
            pair = (one, two, more) if {one, two} <= stated else None
            yield f"{one} = {two}{words}", holds, pair
            yield f"{one} is not {two}{words}", [not each for each in holds], pair
