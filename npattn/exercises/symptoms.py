"""What can be said about wrong numbers without knowing how they came about.

A symptom looks at all the cases that went wrong at once, and is a sentence that holds in every one
of them, or None. Nothing here guesses at a cause. What is said of ratios is computed of ratios, and
what is said of truth values of truth values. Symptoms that say it all come first; where there
is one, it stands alone.
"""

import itertools
from functools import partial
from typing import NamedTuple

import numpy as np

from npattn.exercises.answers import Trouble, call, close
from npattn.exercises.derived import stated_shapes
from npattn.exercises.slips import locals_of
from npattn.trees import tree_map

POWERS = {1: "{}", -1: "1/{}", 0.5: "√{}", -0.5: "1/√{}", 2: "{}²", -2: "1/{}²"}
NEAR = 1e-3  # a relative error up to this is "nearly right"


class Case(NamedTuple):
    """One array of the answer in one case."""

    name: str
    title: str         # what is special about the case
    words: list        # for the last axes
    got: np.ndarray
    want: np.ndarray
    off: object        # bool, where the grader calls it wrong; None where the shape is wrong
    others: dict       # {name: what another array of the answer should be}
    inputs: dict       # {name: value}
    lengths: dict      # {name in the statement: length or number}
    doubled: object    # what comes where the upstream gradient is doubled; None if not to be asked
    made: object = dict  # () -> {name: what the solution makes on its way}

    @property
    def shaped(self):
        return self.got.shape == self.want.shape

    @property
    def wrong(self):
        return ~close(self.got, self.want) if self.off is None else self.off

    @property
    def real(self):
        """Whether it holds numbers, of which there are ratios and differences."""
        return self.want.dtype.kind == "f"


def symptoms(exercise, trials, function, outcomes, judged, k, brief=False):
    """Sentences about array k of the answer; where `brief`, only one that says it all."""
    name, words = list(exercise.answer.items())[k]
    cases = []
    for trial, outcome, answers in zip(trials, outcomes, judged, strict=True):
        if not isinstance(outcome, Trouble):
            wants = {key: t.value for key, t in zip(exercise.answer, trial.truths, strict=True)}
            want, inputs = wants.pop(name), dict(trial.inputs(exercise.reference))
            lengths = _lengths(exercise, inputs)
            doubled = _doubled(exercise, function, trial, k)
            cases.append(Case(
                name, trial.words, words.split(), outcome[k], want, answers[k].wrong, wants, inputs,
                lengths, doubled, partial(locals_of, exercise.reference, trial.args),
            ))
    bad = [case for case in cases if not case.shaped or case.wrong.any()]
    known, told = (WHOLE, PARTS) if all(case.shaped for case in bad) else (SHAPELESS, ())
    if not all(case.real for case in bad):
        known = [symptom for symptom in known if symptom in ANY]
    whole = next(filter(None, (symptom(name, bad) for symptom in known
                               if not (brief and symptom is _product))), None)
    if brief:
        return [whole] * bool(whole)
    if whole and whole.endswith(NOTHING_ELSE) and len(bad) < len(cases):
        whole = f"Where {name} is wrong, it{whole.removeprefix(name)}"
    sentences = [whole] if whole else [symptom(name, bad) for symptom in told]
    if len(bad) < len(cases):
        sentences.append(f"{name} is right in {len(cases) - len(bad)} of {len(cases)} cases.")
    return [sentence for sentence in sentences if sentence]


def exact(sentences):
    """Whether a sentence says what each number is, so that nothing else need be looked for."""
    words = ("is what", "transpose", "another order", "all zeros", "wrong sign", "True where",
             "Every entry", " that there should be", "itself.", "of what it", "1 minus", "1 over",
             "Along the axis", "whole numbers only", "are such as", "nothing may be attended to",
             "may attend to nothing, and nowhere", "before exp")
    return any(part in sentence for sentence in sentences for part in words)


def nearly(sentence):
    """Whether a sentence says that a formula is right, or nearly."""
    return "digits everywhere" in sentence


def telling(sentences):
    """Whether a sentence says what is wrong, be it of the numbers or of the cases."""
    words = ("and never where it has", "and it must.", "grows with the number", NOTHING_ELSE)
    return exact(sentences) or any(part in sentence for sentence in sentences for part in words)


def changed(exercise, trials, outcomes, others, k):
    """What tells array k of an answer from what a function returned in its place; "" if nothing.

    others  what that function returned in each trial
    """
    name, words = list(exercise.answer.items())[k]
    cases = []
    for trial, outcome, other in zip(trials, outcomes, others, strict=True):
        if isinstance(outcome, Trouble) or isinstance(other, Trouble):
            continue
        inputs = dict(trial.inputs(exercise.reference))
        cases.append(Case(name, trial.words, words.split(), outcome[k], other[k], None, {}, inputs,
                          _lengths(exercise, inputs), None))
    bad = [case for case in cases if not case.shaped or case.wrong.any()]
    known = BESIDES if all(case.shaped for case in bad) else SHAPELESS[:-1]
    if len(bad) < 2 or not all(case.real and np.isfinite(case.want).all() for case in bad):
        return ""
    found = next(filter(None, (symptom(name, bad) for symptom in known)), "")
    return "" if found.startswith("In each case") else found.replace(
        "what it should be", "what comes of that").replace("there should be", "come of that")


def _doubled(exercise, function, trial, k):
    """Array k where the gradient that arrives is twice as large; None where there is none."""
    if exercise.forward is None:
        return None
    args = (tree_map(lambda d: 2.0 * d, trial.args[0]), *trial.args[1:])
    outcome = call(function, trial._replace(args=args), exercise.answer)
    return None if isinstance(outcome, Trouble) else outcome[k]


def _lengths(exercise, inputs):
    """{"Tq": 3, "rate": 0.5, ...}: lengths and numbers by the names of the statement."""
    shapes, found = stated_shapes(exercise), {}
    for key, value in inputs.items():
        short = key.split(".")[-1].split("[")[0]
        if np.ndim(value) == 0 and isinstance(value, (int, float, np.number, np.ndarray)):
            if np.asarray(value).dtype.kind in "if":
                found[short] = np.asarray(value).item()
        axes = [axis for axis in shapes.get(short, "").split() if axis != "..."]
        if isinstance(value, np.ndarray) and len(axes) <= value.ndim and axes:
            found.update(zip(axes, value.shape[value.ndim - len(axes) :], strict=True))
    return found


# ---- what tells the cases that are right from those that are not ----


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
    lengths = [_lengths(exercise, inputs) for inputs in given]
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
         [any(_forbids(key, X, dead=True) for key, X in Xs.items()) for Xs in given]),
        ("a key is forbidden", [any(_forbids(key, X) for key, X in Xs.items()) for Xs in given]),
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
    zeros = [any(_forbids(key, X) for key, X in inputs.items()) for inputs in given]
    dead = [any(_forbids(key, X, dead=True) for key, X in inputs.items()) for inputs in given]
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


def _forbids(key, X, dead=False):
    """Whether an input is a mask, or weights, with a key (or with `dead` a row) left out."""
    if not isinstance(X, np.ndarray) or not X.ndim:
        return False
    weights = key.split(".")[-1].split("[")[0] in ("P", "Pa", "Pb") or X.dtype == bool
    return weights and bool(((X == 0).all(axis=-1) if dead else X == 0).any())


def _all_are(cases, make):
    """Whether in every case the numbers are those that `make` makes of it; None is nothing."""
    pairs = [(case.got, make(case)) for case in cases]
    return all(Y is not None and X.shape == Y.shape and close(X, Y).all() for X, Y in pairs)


def _nearly(name, cases):
    worst, most = 0.0, max(np.abs(case.want).max(initial=0.0) for case in cases)
    for case in cases:
        top = np.abs(case.want).max(initial=0.0) or most  # all zeros: beside the other cases
        error = np.abs(case.got - case.want).max()
        worst = np.fmax(worst, error / top) if top and np.isfinite(error) else np.inf
    if not 0.0 < worst <= NEAR:
        return None
    return (
        f"{name} agrees with what it should be to {-np.log10(worst):.0f} digits everywhere, and no "
        "further: the formula is right, or nearly. Look for a constant with few digits, single "
        "precision (float32), an ε that does not belong, an approximation, a difference quotient."
    )


def _coarse(name, cases):
    """Numbers that were rounded on the way: to whole ones, to half or to single precision."""
    numbers = np.concatenate([case.got[np.isfinite(case.got)] for case in cases])
    if not all(case.got.dtype == np.float64 for case in cases):
        return None

    def only(rounded):
        return (rounded(numbers) == numbers).all() and not all(
            (rounded(case.want) == case.want).all() for case in cases)

    if only(np.round) and len(np.unique(np.abs(numbers))) > 3:
        return (f"{name} holds whole numbers only: an array of integers (zeros_like of one, say) "
                "cuts off what is behind the point.")
    near = [(np.abs(case.got - case.want) <= 0.02 * np.abs(case.want).max(initial=0.0)).all()
            for case in cases]
    kinds = ((np.float16, "half"), (np.float32, "single")) if 2 * sum(near) >= len(near) else ()
    for dtype, words in kinds:
        if only(lambda X, dtype=dtype: X.astype(dtype).astype(X.dtype)):
            return (f"All numbers of {name} are such as {words} precision has ({dtype.__name__}): "
                    "keep the precision of the inputs.")
    return None


def _not_linear(name, cases):
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


def _sums_elsewhere(name, cases):
    """Weights that sum to 1 along another axis than the last."""
    matrices = all(case.want.ndim > 1 for case in cases)
    if not matrices or not all(_sums_to_one(case.want, -1) for case in cases):
        return None
    least = min(case.want.ndim for case in cases)
    for axis, words in ((-2, "columns"), (None, "whole table"), ((-2, -1), "matrices"),
                        (-3, "entries"), (-4, "entries"), (0, "entries")):
        if words == "entries" and least < (max(-axis, 3) if axis else 2):
            continue
        if (all(_sums_to_one(case.got, axis) for case in cases)
                and not all(_sums_to_one(case.got, -1) for case in cases)):
            if words == "entries":
                return f"{name} sums to 1 along axis {axis}; it should along the last, axis -1."
            verb = "sums" if words == "whole table" else "sum"
            return f"The {words} of {name} {verb} to 1 (axis {axis}); the rows should (axis -1)."
    return None


def _sums_to_one(X, axis):
    sums = X.sum(axis=axis)
    return bool(((np.abs(sums - 1.0) < 1e-6) | (np.abs(sums) < 1e-9)).all() and (X >= 0.0).all())


# ---- symptoms that say it all ----


def _another(name, cases):
    for key in cases[0].others:
        if _all_are(cases, lambda case, key=key: case.others[key]):
            return f"{name} is what {key} should be."
    return None


def _of_an_input(name, cases):
    """An input itself; or what should be there with one added, or as a factor or divisor."""
    keys = [key for key in cases[0].inputs if all(key in case.inputs for case in cases)]
    for words, make in OF_INPUT:
        for key in keys:
            if _all_are(cases, partial(_with_input, key, make)):
                return words.format(name=name, key=key)
    return None


OF_INPUT = (
    ("{name} is {key} itself.", lambda want, X: X),
    ("{name} is what it should be times {key}.", lambda want, X: want * X),
    ("{name} is what it should be divided by {key}.", lambda want, X: want / X),
    ("{name} is what it should be plus {key}.", lambda want, X: want + X),
    ("{name} is what it should be minus {key}.", lambda want, X: want - X),
)


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


NOTHING_ELSE = ", in the names of the solution, and nothing else."


def _product(name, cases):
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


PRODUCTS = (
    ("{} @ {}", np.matmul), ("{}.swapaxes(-1, -2) @ {}", lambda X, Y: X.swapaxes(-1, -2) @ Y),
    ("{} @ {}.swapaxes(-1, -2)", lambda X, Y: X @ Y.swapaxes(-1, -2)), ("{} * {}", np.multiply),
)


def _not_summed(name, cases):
    """Axes that are left and must be summed over; a length that is another one's."""
    if all(case.got.ndim > case.want.ndim and case.got.sum(axis=tuple(range(
            case.got.ndim - case.want.ndim))).shape == case.want.shape for case in cases):
        sums = [case.got.sum(axis=tuple(range(case.got.ndim - case.want.ndim))) for case in cases]
        if all(close(X, case.want).all() for X, case in zip(sums, cases, strict=True)):
            return f"{name} has leading axes that are left; the sum over them is right."
    if not all(case.got.ndim == case.want.ndim for case in cases):
        return None
    off = [[axis for axis in range(-case.want.ndim, 0)
            if case.got.shape[axis] != case.want.shape[axis]] for case in cases]
    if len({tuple(axes) for axes in off}) > 1 or len(off[0]) != 1:
        return None
    axis = off[0][0]
    word = cases[0].words[axis] if -axis <= len(cases[0].words) else "leading axis"
    got, want = (getattr(cases[0], key).shape[axis] for key in ("got", "want"))
    return (f"{name} has another length than it should along its axis {word}, {got} where it "
            f"should be {want} in the first such case.")


def _function_of(name, cases):
    """A simple function of what it should be, number for number."""
    for words, make in FUNCTIONS:
        if _all_are(cases, lambda case, make=make: make(case.want)):
            return f"{name} is {words} what it should be."
    return None


FUNCTIONS = (
    ("the square of", np.square), ("the root of", np.sqrt), ("the logarithm of", np.log),
    ("the absolute value of", np.abs), ("1 minus", lambda X: 1.0 - X), ("1 over", np.reciprocal),
    ("the negative part left out of", lambda X: np.maximum(X, 0.0)), ("exp of", np.exp),
    ("minus the logarithm of", lambda X: -np.log(X)), ("the sign of", np.sign),
)


def _turned_round(name, cases):
    """In the opposite order, or moved by one place, along an axis; or summed up along it."""
    for axis in range(-1, -1 - min(case.want.ndim for case in cases), -1):
        words = cases[0].words
        word = words[axis] if -axis <= len(words) else "leading axis"
        for told, make in ORDERS:
            if any(case.want.shape[axis] > 1 for case in cases) and _all_are(
                    cases, lambda case, make=make, axis=axis: make(case.want, axis)):
                return f"Along the axis {word} {name} is what it should be, {told}."
    return None


ORDERS = (
    ("in the opposite order", np.flip), ("summed up from the start", np.cumsum),
    ("moved on by one place", lambda X, axis: np.roll(X, 1, axis)),
    ("moved back by one place", lambda X, axis: np.roll(X, -1, axis)),
)


def _transposed(name, cases):
    square = [min(case.want.shape[-2:], default=1) > 1 for case in cases]
    if any(square) and _all_are(
            cases, lambda case: case.want.swapaxes(-1, -2) if case.want.ndim > 1 else None):
        return f"{name} is the transpose of what it should be, number for number."
    return None


def _permuted(name, cases):
    """The axes in another order."""
    n = cases[0].want.ndim
    if not 2 < n < 5 or any(case.want.ndim != n or case.got.ndim != n for case in cases):
        return None
    for axes in itertools.permutations(range(n)):
        if axes != tuple(range(n)) and _all_are(
                cases, lambda case, axes=axes: case.want.transpose(axes)):
            back = f"np.transpose({name}, {tuple(map(axes.index, range(n)))})"
            return f"{name} has its axes in another order: {back} is right."
    return None


def _not_broadcast(name, cases):
    try:
        pairs = [(np.broadcast_to(case.got, case.want.shape), case.want) for case in cases]
    except ValueError:
        return None
    if all(close(got, want).all() for got, want in pairs):
        return f"{name} holds the right numbers, but np.broadcast_to its full shape is missing."
    return None


def _not_finite(name, cases):
    spoilt = [np.isfinite(case.want) & ~np.isfinite(case.got) for case in cases]
    if not any(bad.any() for bad in spoilt):
        return None
    only = all((case.wrong == bad).all() for case, bad in zip(cases, spoilt, strict=True))
    dead = [_dead(case) for case in cases]
    if only and all(rows is not None and not (bad & ~rows).any()
                    for rows, bad in zip(dead, spoilt, strict=True)):
        return (
            f"{name} holds NaN or inf for queries that may attend to nothing, and nowhere else: "
            "0/0, or −inf − (−inf). What belongs to such a query is 0."
        )
    empty = [(case.want == 0).all(axis=-1, keepdims=True) for case in cases if case.want.ndim]
    if only and len(empty) == len(cases) and not any(
            (bad & ~zero).any() for bad, zero in zip(spoilt, empty, strict=True)):
        return (
            f"{name} holds NaN or inf where everything should be 0, and nowhere else: where "
            "nothing may be attended to, 0/0 or −inf − (−inf) came out."
        )
    titles = [case.title for case, bad in zip(cases, spoilt, strict=True) if bad.any()]
    if all("large scores" in title or "1000" in title for title in titles):
        return (
            f"{name} holds NaN or inf where scores are large, as exp overflows or underflows: "
            "subtract from each row of scores its own largest one, before exp."
        )
    rest = "everything else is right" if only else "other entries are wrong, too"
    return f"{name} holds NaN or inf where it should not; {rest}."


def _dead(case):
    """The rows of an array whose query may attend to nothing, in its shape; None if unknown."""
    for key, value in case.inputs.items():
        if _forbids(key, value, dead=True) and value.ndim == case.want.ndim:
            rows = (value == 0).all(axis=-1, keepdims=True)
            if rows.shape[:-1] == case.want.shape[:-1]:
                return np.broadcast_to(rows, case.want.shape)
    return None


def _clipped(name, cases):
    """Different large scores with the same weight."""
    tied = []
    for case in cases:
        S = case.inputs.get("S")
        if not (isinstance(S, np.ndarray) and S.shape == case.got.shape and case.got.ndim):
            return None
        S, got = (X.reshape(-1, X.shape[-1]) for X in (S, case.got))
        rows = zip(S, got, case.wrong.reshape(S.shape).any(-1), strict=True)
        tied += [any(abs(s[i] - s[j]) > 1e-3 and max(abs(s[i]), abs(s[j])) > 10.0
                     and p[i] == p[j] > 1e-3 for i in range(len(s)) for j in range(i))
                 for s, p, wrong in rows if wrong]
    large = all((np.abs(case.inputs["S"]) >= 10.0).any() for case in cases)
    if large and tied and all(tied) and all(_sums_to_one(case.got, -1) for case in cases):
        return (
            f"In {name} large scores that differ have one weight: they were limited (np.clip, say) "
            "before exp. Subtract the largest score of the row instead, which changes no weight."
        )
    return None


def _lost(name, cases):
    """Weights that vanish or shrink where scores are large, and only there."""
    large = all(any(isinstance(X, np.ndarray) and (np.abs(X) >= 50.0).any()
                    for X in case.inputs.values()) for case in cases)
    if not large or not all(_sums_to_one(case.want, -1) for case in cases):
        return None
    short = all((case.got.sum(-1) < case.want.sum(-1) - 1e-6)[case.wrong.any(-1)].all()
                and (case.got >= 0.0).all() for case in cases)
    return (
        f"Rows of {name} have lost their weights where scores are large, as exp underflows: "
        "subtract from each row its own largest score, of the keys that it may attend to."
    ) if short else None


def _all_zero(name, cases):
    return f"{name} is all zeros." if _all_are(cases, lambda case: 0.0 * case.want) else None


def _negated(name, cases):
    if _all_are(cases, lambda case: -case.want):
        return f"{name} has the wrong sign, and nothing else is wrong with it."
    return None


def _complemented(name, cases):
    if all(case.want.dtype == bool and (case.got == ~case.want).all() for case in cases):
        return f"{name} is True where it should be False, and False where it should be True."
    return None


def _scaled(name, cases):
    """One factor for all entries: the same in all cases, or one that goes with a length."""
    ratios = np.array([_ratio(case) for case in cases])
    scaled = dict(zip(map(id, cases), ratios, strict=True))
    if not np.isfinite(ratios).all() or np.allclose(ratios, 1.0, rtol=NEAR):
        return None
    if not _all_are(cases, lambda case: scaled[id(case)] * case.want):
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


def _pooled(name, cases):
    """Along one axis all entries are the sum, the mean, or one of what they should be."""
    pools = {"the sum of all": np.sum, "the mean of all": np.mean,
             "the first": partial(np.take, indices=[0]), "the last": partial(np.take, indices=[-1])}
    for axis in range(-1, -1 - max(case.want.ndim for case in cases), -1):
        for words, pool in pools.items():
            keep = {} if isinstance(pool, partial) else {"keepdims": True}
            if _all_are(cases, lambda case, pool=pool, axis=axis, keep=keep: (
                    np.broadcast_to(pool(case.want, axis=axis, **keep), case.want.shape)
                    if case.want.ndim >= -axis else None)):
                axes = cases[0].words
                word = axes[axis] if -axis <= len(axes) else "leading axis"
                return f"Each {word} of {name} is {words} that there should be."
    inner = len(cases[0].words)
    for words, pool in list(pools.items())[:2]:
        if max(case.want.ndim for case in cases) - inner > 1 and _all_are(
                cases, lambda case, pool=pool: np.broadcast_to(
                    pool(case.want, axis=tuple(range(case.want.ndim - inner)), keepdims=True),
                    case.want.shape)):
            return f"Each leading axis of {name} is {words} that there should be."
    return None


def _rearranged(name, cases):
    def in_order(X):
        return np.sort(X, axis=None)

    if all(close(in_order(case.got), in_order(case.want)).all() for case in cases):
        return f"{name} holds the right numbers in the wrong places."
    return None


def _shifted(name, cases):
    """Off by one number: everywhere, or along each row, or along each column."""
    for axis, line in ((None, ""), (-1, "each row of "), (-2, "each column of ")):
        if axis and not (all(c.want.ndim >= -axis for c in cases)
                         and any(c.want.shape[axis] > 1 for c in cases)):
            continue
        if _all_are(cases, partial(_with_mean_gap, axis)) and any(c.want.size > 1 for c in cases):
            return f"A constant is added to {line}{name}, and nothing else is wrong."
    return None


def _with_mean_gap(axis, case):
    """What the case would be if it were off by one number along `axis`."""
    return case.want + (case.got - case.want).mean(axis=axis, keepdims=True)


def _rows_scaled(name, cases):
    def scaled(case):
        top = np.argmax(np.abs(case.want), axis=-1)[..., None]
        want = np.take_along_axis(case.want, top, -1)
        return case.want * np.take_along_axis(case.got, top, -1) / np.where(want == 0, 1.0, want)

    matrices = all(case.want.ndim > 1 and case.want.shape[-1] > 1 for case in cases)
    rows = {"sum": np.sum, "largest entry": np.max, "length": np.linalg.norm}
    for words, total in rows.items() if matrices else ():
        if _all_are(cases, lambda case, total=total: case.want / total(
                case.want, axis=-1, keepdims=True)):
            return f"Each row of {name} is what it should be divided by its {words}."
    if matrices and _all_are(cases, scaled):
        return f"Each row of {name} is wrong by one factor of its own."
    return None


# ---- symptoms that narrow it down ----


def _forbidden(name, cases):
    masks = [_mask(case) for case in cases]
    if any(mask is None for mask in masks):
        return None
    pairs = [(case.wrong, mask) for case, mask in zip(cases, masks, strict=True)]
    if not any((wrong & mask.any(-1, keepdims=True)).any() for wrong, mask in pairs):
        return f"{name} is wrong only for queries that may attend to nothing."
    if not any((wrong & mask).any() for wrong, mask in pairs):
        return f"{name} is wrong only where the mask forbids."
    return None


def _mask(case):
    """A mask among the inputs that fits the array, or where the weights are not 0."""
    for key, value in case.inputs.items():
        if isinstance(value, np.ndarray) and (value.dtype == bool or key.split(".")[-1] == "P"):
            try:
                mask = np.broadcast_to(value != 0, case.want.shape)
            except ValueError:
                continue
            if not mask.all():
                return mask
    return None


def _rows_sum(name, cases):
    if all(case.want.ndim and _sums_to_one(case.want, -1) for case in cases):
        if not any(_sums_to_one(case.got, -1) for case in cases):
            return f"The rows of {name} do not sum to 1."
    return None


def _on_diagonal(name, cases):
    place = _of_diagonal(cases)
    return f"{name} is wrong only {place} the diagonal." if place else None


def _sign_of_diagonal(name, cases):
    place = _of_diagonal(cases)
    if place and all(close(case.got[case.wrong], -case.want[case.wrong]).all() for case in cases):
        return f"{name} has the wrong sign {place} the diagonal, and nothing else is wrong with it."
    return None


def _of_diagonal(cases):
    """"on" or "off" the diagonal, where all that is wrong is; None if it is elsewhere, too."""
    if not all(case.want.ndim > 1 and case.want.shape[-1] > 1 for case in cases):
        return None
    pairs = [(case.wrong, np.eye(*case.want.shape[-2:], dtype=bool)) for case in cases]
    if not any((wrong & ~same).any() for wrong, same in pairs):
        return "on"
    return None if any((wrong & same).any() for wrong, same in pairs) else "off"


def _on_padding(name, cases):
    places = [_padding(case) for case in cases]
    if any(place is None for place in places):
        return None
    pairs = [(case.wrong, place) for case, place in zip(cases, places, strict=True)]
    if not any((wrong & ~place).any() for wrong, place in pairs):
        return f"{name} is wrong only on padding."
    if not any((wrong & place).any() for wrong, place in pairs):
        return f"{name} is right on padding; all that is wrong is elsewhere."
    return None


def _padding(case):
    """Where the last axis, or the token, is padding, in the shape of the array; None if unknown."""
    inputs = {key.split(".")[-1]: value for key, value in case.inputs.items()}
    if "valid_lens" in inputs and case.want.ndim > 1 and np.ndim(inputs["valid_lens"]) == 1:
        lens = inputs["valid_lens"].reshape(-1, *[1] * (case.want.ndim - 1))
        place = np.arange(case.want.shape[-1]) >= lens
    elif "targets" in inputs and "pad" in inputs:
        place = (inputs["targets"] == inputs["pad"])[..., None]
    else:
        return None
    return np.broadcast_to(place, case.want.shape)


def _by_sign(name, cases):
    """Wrong only where the input, of the same shape, has one sign."""
    pairs = [(case.wrong, _input_like(case)) for case in cases]
    if any(X is None for _, X in pairs):
        return None
    for words, where in (("negative", np.less), ("positive", np.greater)):
        mixed = any(where(X, 0).any() and not where(X, 0).all() for _, X in pairs)
        if mixed and not any((wrong & ~where(X, 0)).any() for wrong, X in pairs):
            return f"{name} is wrong only where X is {words}."
    return None


def _input_like(case):
    inputs = {key.split(".")[-1]: value for key, value in case.inputs.items()}
    X = inputs.get("X")
    return X if isinstance(X, np.ndarray) and X.shape == case.want.shape else None


def _one_line(name, cases):
    case = max(cases, key=lambda case: case.want.size)
    wrong = case.wrong
    for axis, length in enumerate(case.want.shape):
        lines = np.unique(np.nonzero(wrong)[axis])
        if len(lines) == 1 < length:
            back = case.want.ndim - axis
            word = case.words[-back] if back <= len(case.words) else "batch"
            return f"In the largest case that fails, only {word} {lines[0]} of {name} is wrong."
    count = f"{wrong.sum()} of {wrong.size}"
    return f"In the largest case that fails, {count} entries of {name} are wrong{_factors(case)}."


def _factors(case):
    """In which way they are wrong, as far as ratios tell."""
    if not case.real:
        return ""
    got, want = case.got[case.wrong], case.want[case.wrong]
    if (want == 0.0).all():
        return ", all of which should be 0"
    if (want == 0.0).any() or not np.isfinite(got).all():
        return ""
    ratios = got / want
    return f", each by the factor {ratios[0]:.4g}" if np.ptp(ratios) < 1e-6 * abs(ratios[0]) else (
        ", by many factors")


SHAPELESS = (_another, _transposed, _permuted, _not_broadcast, _not_summed)
BESIDES = (
    _transposed, _permuted, _all_zero, _negated, _scaled, _pooled, _turned_round,
)
WHOLE = (
    _another, _transposed, _permuted, _all_zero, _negated, _sign_of_diagonal, _of_an_input,
    _function_of, _product, _coarse, _not_finite, _lost, _clipped, _nearly, _complemented, _scaled,
    _turned_round, _sums_elsewhere, _pooled, _rearranged, _shifted, _rows_scaled,
)
ANY = (_another, _transposed, _permuted, _not_broadcast, _complemented)
PARTS = (
    _forbidden, _not_linear, _on_padding, _on_diagonal, _by_sign, _rows_sum, _one_line,
)
