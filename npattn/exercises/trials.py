"""What a learner's function is called with, and what it should return.

An exercise draws its cases; each becomes a trial. Where a gradient is asked for, the truth is the
complex step through the forward with a random upstream gradient, in whose making no backward has
a part; where values are asked for, it is the specification. Trials come in three dresses with the
same truth: float64, float32, and arrays that are not contiguous. All arrays are read-only, and
those that were one array (q = k = v) still are.
"""

import contextlib
import inspect
import re
import warnings
import zlib
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from npattn.checking.complex_step import ComplexStep
from npattn.checking.derivatives import Derivatives, UnitDirections
from npattn.checking.pairs import flat, random_upstream
from npattn.exercises.derived import derived_cases, with_all_digits
from npattn.trees import tree_items, tree_map

PLAIN, SINGLE, STRIDED = "float64", "float32", "not contiguous"
# where a statement promises a 0, digits that cancel are no excuse
ZERO = re.compile(r"exactly 0|(?:weights|gradient) 0|has 0|O = 0|stays 0|so is the gradient")
DOUBLE = "in float64"  # in the words of a case: its numbers are too large for single precision


class Truth(NamedTuple):
    """What one array of the answer should be."""

    value: np.ndarray
    found: Derivatives  # the same numbers, flat, and how well they are known


class Case(NamedTuple):
    """A case as drawn, with its truth."""

    words: str      # what is special about it
    inputs: tuple   # of the forward, or where values are asked for of the learner's function
    dY: object      # None where values are asked for
    truths: tuple   # one Truth for each array of the answer
    derived: bool   # made from the statement and not by the task


class Trial(NamedTuple):
    """One call of the learner's function."""

    words: str
    args: tuple
    truths: tuple
    eps: float  # the machine epsilon of the floating-point arguments
    derived: bool  # made from the statement and not by the task
    zeros: bool    # whether what no input moves must be 0 to the last digit

    @property
    def size(self):
        """How many numbers the arguments are."""
        return sum(np.size(X) for arg in self.args for _, X in tree_items(arg))

    def inputs(self, function):
        """[(name, value), ...]: the arguments as `function` names them, a cache field by field."""
        names = inspect.signature(function).parameters
        groups = [tree_items(arg, name) for name, arg in zip(names, self.args, strict=False)]
        return [item for group in groups for item in group]


@lru_cache(maxsize=64)
def trials(exercise, seed, dress=PLAIN):
    """The trials of an exercise: the same seed gives the same ones.

    Derived cases come in plain dress only, and scores too large for float32 in float64 only.
    """
    return tuple(
        _trial(exercise, case, dress) for case in cases_of(exercise, seed)
        if dress == PLAIN or not case.derived and (dress != SINGLE or DOUBLE not in case.words)
    )


@contextlib.contextmanager
def quiet():
    """No warnings from arithmetic: an answer is judged by its numbers."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


@lru_cache(maxsize=64)
def cases_of(exercise, seed):
    """The cases of an exercise for a seed: its own, and what `derived_cases` adds to them."""
    rng = np.random.default_rng([seed, zlib.crc32(exercise.name.encode())])
    derive = _specified if exercise.forward is None else _differentiated
    drawn = exercise.cases(rng)
    more = derived_cases(exercise, drawn, np.random.default_rng([seed, 1]))
    drawn = with_all_digits(exercise, drawn, np.random.default_rng([seed, 2]))
    return [
        derive(exercise, words, _cast(inputs, np.float32), rng)._replace(derived=words in more)
        for words, inputs in {**drawn, **more}.items()
    ]


def trial_like(exercise, case, inputs):
    """A trial like a case, with other inputs; its truths are still those of the case."""
    dY = None
    if exercise.forward is not None:
        Y = _output(exercise.forward, inputs)
        dY = random_upstream(Y, np.random.default_rng(0))
    return _trial(exercise, case._replace(inputs=inputs, dY=dY), PLAIN)


def _differentiated(exercise, words, inputs, rng):
    inputs = _cast(inputs, np.float64)
    Y = _output(exercise.forward, inputs)
    dY = tree_map(lambda d: np.round(8.0 * d) / 8.0, random_upstream(Y, rng))
    names = list(inspect.signature(exercise.forward).parameters)
    places = [names.index(key.removeprefix("d")) for key in exercise.answer]

    def F(leaves):
        moved = list(inputs)
        for place, leaf in zip(places, leaves, strict=True):
            moved[place] = leaf
        return flat(_output(exercise.forward, moved))

    leaves = [inputs[place] for place in places]
    step = ComplexStep(F, leaves, flat(dY), flat(Y))
    truths = []
    for k, leaf in enumerate(leaves):
        found = step.measure(k, UnitDirections(leaf.shape, np.arange(leaf.size)))
        truths.append(Truth(found.value.reshape(leaf.shape), found))
    return Case(words, inputs, dY, tuple(truths), False)


def _specified(exercise, words, inputs, rng):
    inputs = _cast(inputs, np.float64)
    values = _values(exercise, inputs)
    nearby = values
    if ZERO.search(exercise.statement):
        shaken = [_shaken(X, np.random.default_rng(k)) for k, X in enumerate(inputs)]
        nearby = _values(exercise, shaken)
    return Case(words, inputs, None, tuple(map(_known, values, nearby)), False)


def _values(exercise, inputs):
    values = exercise.specification(*inputs)
    return [np.asarray(Y) for Y in (values if isinstance(values, tuple) else (values,))]


def _shaken(X, rng):
    """Other numbers nearby; integers and booleans stay."""
    shaken = isinstance(X, np.ndarray) and X.dtype.kind == "f"
    return X + 0.01 * rng.standard_normal(X.shape) if shaken else X


def _known(Y, nearby):
    """The `Truth` from a specification, known to the rounding of the largest value.

    An entry that is 0 here and nearby is 0 by definition, and not because digits cancel.
    """
    value = Y.ravel().astype(np.float64)
    top = np.abs(value[np.isfinite(value)]).max(initial=0.0)
    moves = (value != 0.0) | (nearby.ravel() != 0.0) | (Y is nearby)
    return Truth(Y, Derivatives(value, np.full(Y.size, top), np.zeros(Y.size), moves, 0.0))


def _trial(exercise, case, dress):
    dtype = np.float32 if dress == SINGLE else np.float64
    args = _cast(case.inputs, dtype)
    if exercise.forward is not None:
        result = exercise.forward(*args)
        cache = result[1] if type(result) is tuple else result
        args = (_cast(case.dY, dtype), cache)
    words = case.words if dress == PLAIN else f"{case.words}; {dress}"
    args = _each_once(partial(_finish, dress), args)
    zeros = not case.derived and bool(ZERO.search(exercise.statement))
    return Trial(words, args, case.truths, float(np.finfo(dtype).eps), case.derived, zeros)


def _finish(dress, X):
    """A read-only copy of an array, spread out in memory if so desired."""
    if not isinstance(X, np.ndarray):
        return X
    X = np.repeat(X, 2, axis=-1)[..., ::2] if dress == STRIDED and X.ndim else X.copy()
    X.setflags(write=False)
    return X


def _cast(tree, dtype):
    """Floating-point leaves in that precision, everything else as it is."""
    def cast(X):
        floating = isinstance(X, (np.ndarray, np.floating)) and X.dtype.kind == "f"
        return X.astype(dtype) if floating else X

    return _each_once(cast, tree)


def _each_once(function, tree):
    """`tree_map` in which one and the same array, met again, stays one and the same array."""
    done = {}

    def once(leaf):
        if id(leaf) not in done:
            done[id(leaf)] = function(leaf)
        return done[id(leaf)]

    return tree_map(once, tree)


def _output(forward, inputs):
    result = forward(*inputs)
    return result[0] if type(result) is tuple else result
