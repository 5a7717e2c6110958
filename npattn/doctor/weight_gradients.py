"""Gradients of weights: along directions, against differences of the code's own forward.

Those of a hand-written backward are found by their names; those of torch's autograd come with the
call. Where the forward is wrong, its gradients are still those of that forward.
"""

import re

import numpy as np

from npattn.doctor import cases
from npattn.doctor.examine import Property
from npattn.doctor.repair import note
from npattn.doctor.weights import GRADIENTS

PROBE = "gradients of weights are those of the forward"
STEP = 2e-4
NEAR = 1e-6  # relative to the largest slope: differences are no more exact


def returned_gradients(exam, calls, case, dO, name):
    """Gradients of weights that a backward, a function of this name, returns."""
    many, given = len(exam.way.inputs), [n for n, _ in exam.way.others]

    def read(reply):
        rest = [X for _, X in reply.out][many:]
        returned = [(f"d{n}", X) for n, X in zip(given, rest, strict=False)]
        return [(f"d{'.'.join(path[1:])}", X) for path, X in reply.out if len(path) > 1] + returned

    arrays = read(exam.patient.call(calls)[-1])
    weight_gradients(exam, case, dO, arrays, calls, read, (name,))


def kept_gradients(exam, calls, case, dO, fresh):
    """Gradients of weights that the object keeps: of one backward, and of the same one again."""
    seen = []
    exam.patient.ask(("pristine", exam.way.object))
    for _ in range(2):
        exam.patient.call(calls)
        left, = exam.patient.ask(("state", fresh))
        seen.append([(n, exam.patient.arrays[i]) for n, i in left.get("arrays", ())])
    told = [calls[0], {**calls[1], "state": fresh}]
    weight_gradients(exam, case, dO, seen[0], told, lambda reply: reply.state)
    once, twice, kinds = dict(seen[0]), dict(seen[1]), {}
    for name, X in once.items():
        if GRADIENTS.search(name) and X.any() and np.shape(twice.get(name)) == X.shape:
            for kind, n in (("overwritten", 1), ("added up", 2)):
                if np.abs(twice[name] - n * X).max() <= 1e-9 * np.abs(X).max():
                    kinds.setdefault(kind, []).append(name)
    if len(kinds) == 2:
        added, lost = (", ".join(kinds[k]) for k in ("added up", "overwritten"))
        exam.said(f"A second backward adds up the gradients {added}, but those of {lost} are "
                  "overwritten: all must be accumulated, or none.",
                  *exam.patient.line(r"grads?\b.* = |d[WwBb]\w* = "))
        exam.properties.append(Property(
            "gradients of weights are all accumulated, or none", False,
            {"inputs": {}, "got": kinds, "expected": "one way for all"}))
    elif kinds:
        exam.conventions.append(
            f"gradients of weights are {next(iter(kinds))} by a second backward")


def weight_gradients(exam, case, dO, arrays, calls, read, names=()):
    """Gradients of weights that a hand-written backward leaves or returns, by their names.

    arrays  [(name, gradient), …]; read gives them of the last reply to the calls
    """
    t, slopes, turned, along = exam.target, {}, [], {}
    held = [*(w for ws in t.weights.values() for w in ws), *t.loose]
    for name, X, _ in held:
        G = gradient_of(name, X.shape, arrays)
        if G is None:
            continue
        R = np.random.default_rng(400).standard_normal(X.shape)
        told = [difference(exam, case, dO, name, X, R, h) for h in (STEP, STEP / 2)]
        if None not in told:
            slopes[name], along[name] = (float((G * R).sum()), *told), R
            if G.shape == G.T.shape and not differing({name: (float((G.T * R).sum()), *told)}):
                turned.append(name)
    wrong = differing(slopes)
    if len(wrong) == 1 and not is_factor(exam, case, dO, *wrong.items(), held, arrays):
        wrong = dict.fromkeys(wrong, np.nan)
    if wrong:
        why = ": it is transposed" if wrong.keys() <= set(turned) else averaged(wrong, case)

        def fine(replies):
            if len(replies) < 2 or replies[-1].error:
                return len(replies) < 2
            made = {n: gradient_of(n, R.shape, read(replies[-1])) for n, R in along.items()}
            return all(G is not None for G in made.values()) and not differing(
                {n: (float((G * along[n]).sum()), *slopes[n][1:]) for n, G in made.items()})

        note(exam, calls, fine, 2, names, "back|bwd|grad")
        blame(exam, wrong, why or ratio_of(wrong))
    if slopes:
        exam.properties.append(property_of(wrong))


def is_factor(exam, case, dO, wrong, held, arrays):
    """Whether the gradient of a weight is wrong by one factor along another direction, too."""
    name, ratio = wrong
    X = next(X for n, X, _ in held if n == name)
    R = np.random.default_rng(401).standard_normal(X.shape)
    slope = difference(exam, case, dO, name, X, R, STEP / 2)
    G = gradient_of(name, X.shape, arrays)
    return slope is not None and not (
        abs((G * R).sum() - ratio * slope) > 1e-5 * abs(ratio * slope))


def averaged(wrong, case):
    """The clause for gradients {name: factor} that are averaged over batch or tokens; ""."""
    B, T = case.q.shape[:2]
    known = {1 / B: ": it is averaged over the batch; it must be summed",
             1 / (B * T): ": it is averaged over batch and tokens; it must be summed",
             1 / T: ": it is averaged over the tokens; it must be summed"}
    return next((words for r, words in known.items()
                 if all(abs(ratio / r - 1) < 1e-5 for ratio in wrong.values())), "")


def difference(exam, case, dO, name, X, R, h):
    """The slope of the code's own forward where a weight moves along R; None if a call fails."""
    total = []
    for k in (-2, -1, 1, 2):
        (_, Y), = moved(exam, case, name, X + k * h * R)
        if Y is None or Y.shape != dO.shape:
            return None
        total.append((Y * dO).sum())
    moved(exam, case, name, X)
    a, b, c, d = total
    return float((a - 8 * b + 8 * c - d) / (12 * h))


def moved(exam, case, name, X):
    """The answer to a case with another value for one weight."""
    others = tuple((n, replaced(value, n, name, X)) for n, value in exam.way.others)
    if any(one[1] is not two[1] for one, two in zip(others, exam.way.others, strict=True)):
        way = exam.way
        exam.way = way._replace(others=others)
        found = exam.ask([case])
        exam.way = way
        return found
    path = [int(part) if part.isdigit() else part for part in name.split(".")]
    exam.patient.ask(("set", exam.way.object, [(path, X)]))
    return exam.ask([case])


def replaced(value, own, name, X):
    """The value of an argument, with X for the weight of that name in it."""
    if value[0] == "array" and own == name:
        return "array", X
    if value[0] in ("dict", "bag") and name in value[1]:
        return value[0], {**value[1], name: ("array", X)}
    return value


def gradient_of(name, shape, arrays):
    """The array that a gradient of this weight is likely kept in."""
    last = name.split(".")[-1].lower().strip("_")
    plain = re.sub(r"[._]", "", name.lower())
    for other, X in arrays:
        low = re.sub(r"[._]", "", other.lower())
        if X.shape != shape or low == plain:
            continue
        if low in (f"d{plain}", f"grad{plain}", f"g{plain}", f"{plain}grad", f"grads{plain}",
                   f"d{last}", f"grads{last}", f"grad{last}", f"gradients{plain}", f"gradsd{plain}",
                   f"gradsd{last}", f"{last}grad", f"dparams{last}"):
            return X
    return None


def module_gradients(exam):
    """autograd's gradients of the weights and inputs of a module, along one direction each.

    A module may hold a backward of its own, or detach what it must not.
    """
    if exam.mistakes or exam.way.dtype != "float64" or exam.form() == "core":
        return
    case = exam.case("gradient", "gradients of a plain call", seed=205, B=2, Tq=4, Tk=4)
    asked = [case, exam.masked(case, exam.way.mask[1], 35)] if exam.way.mask else [case]
    specs = []
    for c, got in exam.ask(asked):
        if got is None:
            return
        dO = np.round(np.random.default_rng(305).standard_normal(got.shape), 1)
        spec = exam.patient.spec(exam.way, c)
        number = [path for path, _ in exam.replies[0].out].index(exam.way.out)
        up = [(number, cases.outward(dO, exam.way.layout))]
        specs.append({**spec, "upstream": up, "slopes": True})
    wrong, seen = {}, False
    for reply in exam.patient.call(specs):
        seen = seen or bool(reply.slopes)
        wrong |= differing({name: told for name, *told in reply.slopes})
    if not seen:
        return
    exam.properties.append(property_of(wrong))
    if wrong:
        note(exam, specs, lambda replies: all(
            r.slopes and not differing({n: told for n, *told in r.slopes}) for r in replies),
            within="backward")
        lost = [name for name, ratio in wrong.items() if ratio == 0.0]
        why = (f": that of {', '.join(lost)} is 0 (something is detached)" if lost
               else ratio_of(wrong))
        blame(exam, wrong, why)


def differing(slopes):
    """{name: ratio to the right one} of slopes that are not the derivative.

    slopes  {name: (the slope that is told, that of differences, the same with a smaller step)}
    """
    size = max((abs(d) for _, _, d in slopes.values()), default=0.0)
    found = {}
    for name, (told, one, two) in slopes.items():
        exact = abs(one - two) <= NEAR * size  # else there is a kink, or numbers have few digits
        if exact and not abs(told - two) <= 10 * NEAR * max(size, abs(told)):
            found[name] = told / two if two else np.inf
    return found


def ratio_of(wrong):
    """How many times as large all of them are, in a clause; "" if that differs."""
    others = {round(ratio, 5) for ratio in wrong.values()}
    if not np.isfinite(list(others)).all():
        return ""
    return f": it is {others.pop():.4g} times as large" if len(others) == 1 else ""


def blame(exam, wrong, why):
    """Says that the gradients of these weights are wrong, why, and in which line most likely."""
    last = re.escape(next(iter(wrong)).split(".")[-1])
    exam.said(f"The gradient of the weights {', '.join(wrong)} is not the derivative of the "
              f"forward{why}.",
              *exam.patient.line(rf"d{last}|grad\w*\W+{last}|{last}\w*grad|d[Ww]|grad|db|detach"))


def property_of(wrong):
    """PROBE, and by which factors it fails."""
    return Property(PROBE, not wrong, {"inputs": {}, "got": dict(wrong), "expected": "ratio 1"}
                    if wrong else {})
