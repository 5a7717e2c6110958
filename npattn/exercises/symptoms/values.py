"""Wrong numbers that are a formula of the right ones, of the inputs, or of what is made on the way.

A symptom is a function (name, cases) -> a sentence that holds in every one of the cases, or None.
"""

import itertools
from functools import partial

import numpy as np

from npattn.exercises.answers import close
from npattn.exercises.symptoms.case import all_are
from npattn.exercises.symptoms.precision import NEAR

NOTHING_ELSE = ", in the names of the solution, and nothing else."
POWERS = {1: "{}", -1: "1/{}", 0.5: "√{}", -0.5: "1/√{}", 2: "{}²", -2: "1/{}²"}
OF_INPUT = (
    ("{name} is {key} itself.", lambda want, X: X),
    ("{name} is what it should be times {key}.", lambda want, X: want * X),
    ("{name} is what it should be divided by {key}.", lambda want, X: want / X),
    ("{name} is what it should be plus {key}.", lambda want, X: want + X),
    ("{name} is what it should be minus {key}.", lambda want, X: want - X),
)
FUNCTIONS = (
    ("the square of", np.square), ("the root of", np.sqrt), ("the logarithm of", np.log),
    ("the absolute value of", np.abs), ("1 minus", lambda X: 1.0 - X), ("1 over", np.reciprocal),
    ("the negative part left out of", lambda X: np.maximum(X, 0.0)), ("exp of", np.exp),
    ("minus the logarithm of", lambda X: -np.log(X)), ("the sign of", np.sign),
)
PRODUCTS = (
    ("{} @ {}", np.matmul), ("{}.swapaxes(-1, -2) @ {}", lambda X, Y: X.swapaxes(-1, -2) @ Y),
    ("{} @ {}.swapaxes(-1, -2)", lambda X, Y: X @ Y.swapaxes(-1, -2)), ("{} * {}", np.multiply),
)


def another(name, cases):
    """What another array of the answer should be."""
    for key in cases[0].others:
        if all_are(cases, lambda case, key=key: case.others[key]):
            return f"{name} is what {key} should be."
    return None


def of_an_input(name, cases):
    """An input itself; or what should be there with one added, or as a factor or divisor."""
    keys = [key for key in cases[0].inputs if all(key in case.inputs for case in cases)]
    for words, make in OF_INPUT:
        for key in keys:
            if all_are(cases, partial(_with_input, key, make)):
                return words.format(name=name, key=key)
    return None


def _with_input(key, make, case):
    """What `make` makes of the array and an input; None where that has other shapes."""
    X = case.inputs[key]
    if not (isinstance(X, np.ndarray) and X.dtype.kind in "fb" and X.size):
        return None
    for fitting in (X, X[..., None], X[..., None, :]) if X.ndim else (X,):
        try:
            made = make(case.want, fitting * 1.0)
        except ValueError:
            continue
        if made.shape == case.want.shape:
            return made
    return None


def function_of(name, cases):
    """A simple function of what it should be, number for number."""
    for words, make in FUNCTIONS:
        if all_are(cases, lambda case, make=make: make(case.want)):
            return f"{name} is {words} what it should be."
    return None


def product(name, cases):
    """A product of two arrays that the solution makes, or is given."""
    if any(case.got.ndim < 2 for case in cases):
        return None
    made = [{key: X for key, X in case.made().items()
             if isinstance(X, np.ndarray) and X.dtype.kind == "f" and X.ndim > 1} for case in cases]
    keys = [key for key in made[0] if all(key in each for each in made)]
    for words, multiply in PRODUCTS:
        for one, two in itertools.product(keys, keys):
            if all(_is_product(case.got, multiply, each[one], each[two])
                   for case, each in zip(cases, made, strict=True)):
                return f"{name} is `{words.format(one, two)}`{NOTHING_ELSE}"
    return None


def _is_product(got, multiply, X, Y):
    try:
        Z = multiply(X, Y)
    except ValueError:
        return False
    return Z.shape == got.shape and close(got, Z).all()


def all_zero(name, cases):
    """Nothing but zeros."""
    return f"{name} is all zeros." if all_are(cases, lambda case: 0.0 * case.want) else None


def negated(name, cases):
    """The opposite of what it should be."""
    if all_are(cases, lambda case: -case.want):
        return f"{name} has the wrong sign, and nothing else is wrong with it."
    return None


def complemented(name, cases):
    """Truth values, each the other one."""
    if all(case.want.dtype == bool and (case.got == ~case.want).all() for case in cases):
        return f"{name} is True where it should be False, and False where it should be True."
    return None


def scaled(name, cases):
    """One factor for all entries: the same in all cases, or one that goes with a length."""
    ratios = np.array([_ratio(case) for case in cases])
    scaled = dict(zip(map(id, cases), ratios, strict=True))
    if not np.isfinite(ratios).all() or np.allclose(ratios, 1.0, rtol=NEAR):
        return None
    if not all_are(cases, lambda case: scaled[id(case)] * case.want):
        return None
    if np.allclose(ratios, ratios[0], rtol=1e-6):
        return f"Every entry of {name} is {ratios[0]:.6g} times what it should be."
    for label, sizes in _sizes(cases):
        for power, text in POWERS.items():
            with np.errstate(all="ignore"):
                wanted = sizes**power
            if abs(wanted[0] - ratios[0]) <= 1e-6 * abs(ratios[0]) and np.allclose(
                    ratios, wanted, rtol=1e-6):
                return f"Every entry of {name} is {text.format(label)} times what it should be."
    factors = ", ".join(f"{ratio:.4g}" for ratio in ratios)
    return f"In each case all entries of {name} are wrong by one factor: {factors}."


def _ratio(case):
    top = np.argmax(np.abs(case.want))
    return case.got.flat[top] / (case.want.flat[top] or 1.0)


def _sizes(cases):
    """Pairs ("Dk", its value in each case): lengths, numbers, and what people make of them."""
    names = [key for key in cases[0].lengths if all(key in case.lengths for case in cases)]
    values = {key: np.array([case.lengths[key] for case in cases], float) for key in names}
    yield from values.items()
    for key, n in values.items():
        with np.errstate(all="ignore"):
            yield f"(1 − {key})", 1.0 - n
            yield f"((1 − {key})/{key})", (1.0 - n) / n
            yield f"({key}/(1 − {key}))", n / (1.0 - n)
            yield f"({key} − 1)", n - 1.0
            yield f"({key} + 1)", n + 1.0
            yield f"({key}/({key} − 1))", n / (n - 1.0)
            yield f"({key}/({key} + 1))", n / (n + 1.0)
    for key, X in cases[0].inputs.items():
        short = key.split(".")[-1]
        if isinstance(X, np.ndarray) and X.ndim:
            arrays = [case.inputs[key] for case in cases]
            yield f"len({short})", np.array([len(X) for X in arrays], float)
            yield f"{short}.size", np.array([X.size for X in arrays], float)
    for one, two in itertools.permutations(names, 2):
        yield f"({one}·{two})", values[one] * values[two]
        yield f"({one}/{two})", values[one] / np.where(values[two] == 0.0, np.nan, values[two])


def shifted(name, cases):
    """Off by one number: everywhere, or along each row, or along each column."""
    for axis, line in ((None, ""), (-1, "each row of "), (-2, "each column of ")):
        if axis and not (all(c.want.ndim >= -axis for c in cases)
                         and any(c.want.shape[axis] > 1 for c in cases)):
            continue
        if all_are(cases, partial(_with_mean_gap, axis)) and any(c.want.size > 1 for c in cases):
            return f"A constant is added to {line}{name}, and nothing else is wrong."
    return None


def _with_mean_gap(axis, case):
    """What the case would be if it were off by one number along `axis`."""
    return case.want + (case.got - case.want).mean(axis=axis, keepdims=True)


def rows_scaled(name, cases):
    """Each row times a number of its own."""
    def scaled(case):
        top = np.argmax(np.abs(case.want), axis=-1)[..., None]
        want = np.take_along_axis(case.want, top, -1)
        return case.want * np.take_along_axis(case.got, top, -1) / np.where(want == 0, 1.0, want)

    matrices = all(case.want.ndim > 1 and case.want.shape[-1] > 1 for case in cases)
    rows = {"sum": np.sum, "largest entry": np.max, "length": np.linalg.norm}
    for words, total in rows.items() if matrices else ():
        if all_are(cases, lambda case, total=total: case.want / total(
                case.want, axis=-1, keepdims=True)):
            return f"Each row of {name} is what it should be divided by its {words}."
    if matrices and all_are(cases, scaled):
        return f"Each row of {name} is wrong by one factor of its own."
    return None


def not_linear(name, cases):
    """A gradient must double where the gradient that arrives does."""
    if any(case.doubled is None or case.doubled.shape != case.got.shape for case in cases):
        return None
    upstream = next(iter(cases[0].inputs)).split("[")[0].split(".")[0]
    if all(close(case.doubled, case.got).all() for case in cases):
        return f"{name} does not depend on {upstream}: the gradient that arrives is not used."
    if all(close(case.doubled, 2.0 * case.got).all() for case in cases):
        return None
    if all(close(case.doubled, 4.0 * case.got).all() for case in cases):
        return f"{name} grows with the square of {upstream}, which must be a factor only once."
    return (
        f"{name} does not double where {upstream} doubles. A gradient is proportional to the one "
        f"that arrives: a part of yours lacks the factor {upstream}, or has it where it must not."
    )
