"""Cases that follow from the statement: as many leading axes as it allows, and lengths of 1.

A statement gives shapes, `Q (..., Tq, Dk)`. Where it says `...`, an answer must hold for none, one,
two and three leading axes; where it names a length, for the length 1. What the cases of a task do
not try is made from them here, so that no task can fall short of its statement.
"""

import inspect
import re

import numpy as np

ROW = re.compile(r"^    (\w+(?:, \w+)*)  +\(([^()]*)\)(?! or \()", re.M)
POSITIVE = ("sigma", "rate", "eps", "cap", "lr", "beta1", "beta2")  # by what they are
LEADING = {1: (2,), 2: (2, 3), 3: (2, 1, 3)}


def stated_shapes(exercise):
    """{name: "... Tq Dk"}: the shapes in the statement, and those that the task adds."""
    stated = {
        name: axes.replace(" + ", "+").replace(",", " ")
        for names, axes in ROW.findall(exercise.statement) for name in names.split(", ")
    }
    words = re.search(r"\bmask \(([^()]*)\)", _called(exercise).__doc__ or "")
    return {**stated, **({"mask": words[1].replace(",", "")} if words else {}), **exercise.shapes}


def shapes_of(exercise):
    """{argument: its axes as the statement names them, or None}, for the arguments of a case."""
    stated = stated_shapes(exercise)
    names = inspect.signature(_called(exercise)).parameters
    return {name: tuple(stated[name].split()) if name in stated else None for name in names}


def _called(exercise):
    """What a case holds the arguments of."""
    return exercise.forward or exercise.reference


def free_lengths(exercise, inputs):
    """The named lengths in a case that may be any number: no part of a sum or product elsewhere."""
    shapes = shapes_of(exercise)
    text = exercise.statement + str([*exercise.shapes.values()])
    joined = re.findall(r"\w+[ ]?[·+/][ ]?\w+", re.sub(r"\$.*?\$", "", text, flags=re.S))
    bound = {name for pair in joined for name in re.findall(r"[A-Za-z]+", pair)} | set(shapes)
    return [axis for axis in lengths_in(exercise, inputs) if axis.isalpha() and axis not in bound]


def rank_of(exercise, inputs):
    """How many leading axes the arrays of a case have, None where the statement allows none."""
    for shape, X in zip(shapes_of(exercise).values(), inputs, strict=False):
        if shape and shape[0] == "..." and X is not None:
            return np.ndim(X) - len(shape) + 1
    return None


def least_rank(exercise):
    """0, but 1 where a whole array is `(...)`: one number needs no array."""
    return 1 if ("...",) in shapes_of(exercise).values() else 0


def lengths_in(exercise, inputs):
    """{name: length} in one case."""
    found = {}
    for shape, X in zip(shapes_of(exercise).values(), inputs, strict=False):
        if isinstance(X, np.ndarray) and shape:
            axes = [axis for axis in shape if axis != "..."]
            found.update(zip(axes, X.shape[X.ndim - len(axes) :], strict=True))
    return found


def derived_cases(exercise, drawn, rng):
    """{what is special: inputs}: what the statement allows and the cases `drawn` do not try.

    drawn  {what is special: inputs} of the task
    """
    return {**_ranks(exercise, drawn, rng), **_ones(exercise, drawn), **_square(exercise, drawn),
            **_signs(exercise, drawn)}


def with_all_digits(exercise, drawn, rng):
    """The cases; in one of them numbers have so many digits that single precision rounds products.

    The others are multiples of 1/8: easy to read, and exact wherever they are added and multiplied.
    """
    words, base = _largest(exercise, drawn)
    done = {}  # what was one array stays one

    def moved(X):
        plain = not isinstance(X, np.ndarray) or X.dtype.kind != "f" or (X == np.round(X)).all()
        return X if plain else done.setdefault(
            id(X), X * (1.0 + rng.uniform(-1.0, 1.0, X.shape) / 1024.0))

    return {**drawn, words: tuple(map(moved, base))}


def _signs(exercise, drawn):
    """A number of the other sign, where it has only one in the task and may have any."""
    _, base = _largest(exercise, drawn)
    names = list(shapes_of(exercise))[: len(base)]
    given, cases = zip(*drawn.values()), {}
    for name, values in zip(names, given, strict=False):
        numbers = all(np.ndim(X) == 0 and np.asarray(X).dtype.kind == "f" for X in values)
        if numbers and name not in POSITIVE and len({X > 0 for X in values}) == 1:
            cases[f"{name} of the other sign"] = tuple(
                np.asarray(-X) if key == name else X for key, X in zip(names, base, strict=True))
    return cases


def _ranks(exercise, drawn, rng):
    ranks = {rank_of(exercise, inputs) for inputs in drawn.values()}
    if None in ranks:
        return {}
    words, base = _largest(exercise, drawn)
    have, cases = rank_of(exercise, base), {}
    for rank in {*range(least_rank(exercise), 4)} - ranks:
        copies = [exercise.cases(rng)[words] for _ in range(6)]
        cases[f"{rank or 'no'} leading {'axis' if rank == 1 else 'axes'}"] = tuple(
            _with_rank(shape, [copy[i] for copy in copies], have, rank)
            for i, shape in zip(range(len(base)), shapes_of(exercise).values(), strict=False)
        )
    return cases


def _with_rank(shape, copies, have, rank):
    X = copies[0]
    if not shape or shape[0] != "..." or not isinstance(X, np.ndarray):
        return X
    inner = [copy[(0,) * have] for copy in copies]
    if not rank:
        return inner[0]
    lead = LEADING[rank]
    return np.stack(inner[: int(np.prod(lead))]).reshape(*lead, *inner[0].shape)


def _ones(exercise, drawn):
    _, base = _largest(exercise, drawn)
    tried = [lengths_in(exercise, inputs) for inputs in drawn.values()]
    return {
        f"{name} is 1": cut(exercise, base, {name: 1})
        for name in free_lengths(exercise, base)
        if name not in exercise.excluded and not any(found.get(name) == 1 for found in tried)
    }


def _square(exercise, drawn):
    """Every free length the same, unless the task has such a case."""
    _, base = _largest(exercise, drawn)
    names = [name for name in free_lengths(exercise, base) if name not in exercise.excluded]
    lengths = lengths_in(exercise, base)
    tried = [lengths_in(exercise, inputs) for inputs in drawn.values()]
    if len(names) < 2 or any(len({found.get(name) for name in names}) == 1 for found in tried):
        return {}
    least = min((lengths[name] for name in names if lengths[name] > 1), default=1)
    square = cut(exercise, base, dict.fromkeys(names, least))
    return {f"lengths of {least} wherever they may be": square}


def cut(exercise, inputs, lengths):
    """The inputs with the first `lengths[name]` entries of the axes of that name."""
    return tuple(
        X[(..., *(slice(lengths.get(axis)) for axis in shape if axis != "..."))]
        if isinstance(X, np.ndarray) and shape else X
        for shape, X in zip(shapes_of(exercise).values(), inputs, strict=False)
    )


def _largest(exercise, drawn):
    """The case with least leading axes, without a mask, and of those the one with most numbers."""
    def order(item):
        _, inputs = item
        arrays = [X for X in inputs if isinstance(X, np.ndarray)]
        shared = len({id(X) for X in arrays}) < len(arrays)
        mask = any(X.dtype == bool for X in arrays) and "mask" in shapes_of(exercise)
        extreme = not all((np.abs(X) < 50.0).all() for X in arrays)
        return (shared, extreme, mask, rank_of(exercise, inputs) or 0, -sum(X.size for X in arrays))

    return min(drawn.items(), key=order)
