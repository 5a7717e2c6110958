"""Gradients: hand-written backwards, and autograd's, against the derivative of the forward.

Where the forward is right, the derivative is the reference's by complex step; where it is wrong,
that of the code's own forward by differences, so that the backward is not blamed for it.
"""

import itertools
import re

import numpy as np

from npattn.doctor import cases, fit, roles
from npattn.doctor.catalogue import BACKWARD, mistaken
from npattn.doctor.comparing import counterexample
from npattn.doctor.differences import difference
from npattn.doctor.examine import Property
from npattn.doctor.repair import note
from npattn.doctor.weight_gradients import (
    kept_gradients, module_gradients, returned_gradients,
)
from npattn.edits import EditError

STEP = 1e-20
BACKWARDS = r"back|bwd|grad|vjp|jacobian|^d[A-Z_]"  # names of functions
CACHE = re.compile(r"(.*_)?(cache|ctx|saved|memo|state|stash|tape|residuals?|context|tensors|c)")
GRADIENT = re.compile(r"d_?(o|y|out|output|h|z)|g|grad\w*|dout\w*|upstream\w*|g_?out|dl\w*|"
                      r"do\w*|dy\w*")


def stage(exam):
    """All ways in which the code has gradients."""
    found = partner(exam)
    if found:
        hand_written(exam, *found)
    elif exam.way.torch and exam.way.dtype != "float32":
        automatic(exam)
        if getattr(exam.patient.facts, "module", False):
            module_gradients(exam)


def partner(exam):
    """("function", name, signature), ("method", name, signature), or None."""
    facts, name = exam.patient.facts, exam.patient.name
    if facts.kind in ("class", "object"):
        for method in ("backward", "backprop", "grad", "bwd", "gradient", "gradients"):
            if method in facts.methods and not getattr(facts, "module", False):
                return "method", method, facts.methods[method]
        return None
    if getattr(facts, "autograd", False):
        return None
    names = [exam.hints.get("backward", "")]
    for end in ("backward", "bwd", "grad", "grads", "gradient", "gradients", "vjp", "back"):
        names += [f"{name}_{end}", f"{end}_{name}",
                  re.sub(r"_?(forward|fwd)$", "", name) + f"_{end}",
                  re.sub(r"forward|fwd", end, name)]
    names += [f"d{name}", f"d_{name}", "backward"]
    for other in names:
        if other != name and facts.names.get(other) == "function":
            described, = exam.patient.ask(("load", other))
            return "function", other, described["signature"]
    return None


def asked_cases(exam):
    """The cases whose gradients are compared: plain, grouped, masked, causal."""
    small = {"B": 2, "H": 2} if exam.form() == "core" and "h" in exam.way.layout else {"B": 2}
    if exam.target.sizes.groups != exam.target.sizes.heads and exam.form() == "core":
        small.pop("H", None)
    equal = exam.plain_sizes.get("Tq") or exam.square
    sizes = {"Tq": 4, "Tk": 4} if equal else {"Tq": 3, "Tk": 4}
    found = [exam.case("gradient", "gradients of a plain call", seed=200, **small, **sizes)]
    if exam.grouped:
        case = exam.case("gradient", "gradients where two query heads share a key head", seed=203,
                         **{**small, "H": 4, "Hk": 2}, **sizes)
        found.append(case)
    if exam.mistakes:
        return found
    if exam.form() == "core" and not equal:
        found.append(exam.case("gradient", "gradients where there are as many queries as keys",
                               seed=204, **small, Tq=3, Tk=3, dv=cases.Sizes().d))
    if exam.way.mask:
        case = exam.case("gradient", "gradients where there is a mask", seed=201, **small, **sizes)
        found.append(exam.masked(case, exam.way.mask[1], 31))
    if exam.way.causal:
        found.append(exam.case("gradient", "gradients where it is causal", seed=202, **small, **{
            **sizes, "Tk": sizes["Tq"]})._replace(causal=True))
    return found


def hand_written(exam, kind, name, signature):
    """Forward, then backward, twice with different arguments."""
    asked = asked_cases(exam)
    asked.append(asked[0]._replace(q=-asked[0].q, words="gradients of a second call"))
    if len(exam.way.inputs) == 1:
        asked[-1] = asked[-1]._replace(k=asked[-1].q, v=asked[-1].q)
    outs = exam.ask(asked)
    if any(got is None for _, got in outs):
        return
    upstream = [np.round(np.random.default_rng(300 + i).standard_normal(got.shape), 1)
                for i, (_, got) in enumerate(outs)]
    calls = []
    fresh = f"{exam.way.object}*" if kind == "method" else exam.way.object
    way = exam.way._replace(object=fresh)
    for i, case in enumerate(asked):
        calls.append(exam.patient.spec(way, case, keep="fw"))
        dO = ("array", cases.outward(upstream[i], exam.way.layout))
        calls.append({"object": fresh if kind == "method" else "", "name": name,
                      "torch": exam.way.torch, "dtype": "float64",
                      **arguments(exam, kind, signature, case, dO)})
    replies = exam.patient.call(calls)[1::2]
    if replies[0].error and exam.form() == "core" and exam.dv != cases.Sizes().d:
        exam.dv = cases.Sizes().d  # it may be written for values as wide as the keys
        exam.conventions.append("its backward takes values as wide as the keys only")
        return hand_written(exam, kind, name, signature)
    if replies[0].error and not exam.square and len(exam.way.inputs) > 1:
        exam.square = True  # what is transposed by mistake runs for equal sizes only
        known, exam.mistakes = exam.mistakes, []
        hand_written(exam, kind, name, signature)
        exam.square, exam.mistakes = False, known + exam.mistakes
        if exam.mistakes != known:
            return
    judge(exam, asked, upstream, replies, "by hand", calls, (name,))
    if exam.form() == "core":
        return
    if kind == "method" and not replies[-1].error:
        kept_gradients(exam, calls[:2], asked[0], upstream[0], fresh)
    elif kind == "function" and not replies[0].error:
        returned_gradients(exam, calls[:2], asked[0], upstream[0], name)


def arguments(exam, kind, signature, case, dO):
    """What a backward is called with: the upstream gradient, and what its forward returned."""
    spec = exam.patient.spec(exam.way, case)
    given = dict(spec.get("kwargs", {}))
    inputs = {letter: given.get(p) for p, letter in exam.way.inputs}
    args, kwargs, used, number, tuple_ = [], {}, False, 1, bool(exam.way.out)
    for p, default, required, way, *_ in signature:
        lower, value = p.lower(), None
        role = roles.role(p, roles.CALL)
        if way.startswith("VAR"):
            continue
        if not used and GRADIENT.fullmatch(lower):
            value, used = dO, True
        elif p in given:
            value = given[p]
        elif role in inputs and inputs[role] is not None:
            value = inputs[role]
        elif role in ("train", "eval") or not required:
            continue
        elif CACHE.fullmatch(lower):
            value = ("kept", "fw", -1) if tuple_ else ("kept", "fw")
        elif not used and not args and not kwargs:
            value, used = dO, True
        elif lower in ("o", "out", "y", "output"):
            value = ("kept", "fw", *exam.way.out[:0], 0) if tuple_ else ("kept", "fw")
        else:
            value = ("kept", "fw", number) if tuple_ else ("kept", "fw")
            number += 1
        kwargs[p] = value
    return {"args": args, "kwargs": kwargs}


def automatic(exam):
    """Gradients of torch's autograd, or of an autograd.Function."""
    if not exam.way.autograd and (exam.model is None or exam.model.mistakes or exam.mistakes):
        return  # autograd of a wrong forward is right
    asked = asked_cases(exam)
    outs = exam.ask(asked)
    if any(got is None for _, got in outs):
        return
    upstream, replies, specs = [], [], []
    for i, (case, got) in enumerate(outs):
        dO = np.round(np.random.default_rng(300 + i).standard_normal(got.shape), 1)
        upstream.append(dO)
        spec = exam.patient.spec(exam.way, case)
        number = [path for path, _ in exam.replies[i].out].index(exam.way.out)
        spec["upstream"] = [(number, cases.outward(dO, exam.way.layout))]
        specs.append(spec)
    replies = exam.patient.call(specs)
    if replies[0].error and not exam.square and len(exam.way.inputs) > 1:
        kept, exam.square, exam.dv = (exam.mistakes, exam.dv), True, cases.Sizes().d
        exam.mistakes = []  # what is exchanged by mistake comes back for equal sizes only
        automatic(exam)
        found, exam.square, (exam.mistakes, exam.dv) = exam.mistakes, False, kept
        if found:
            exam.mistakes += found
            return
    judge(exam, asked, upstream, replies, "by autograd", specs)


PROBE = "gradients are those of the forward"


def judge(exam, asked, upstream, replies, how, specs, names=()):
    """Compare gradients with the derivative of the forward, and name what explains a difference.

    how    "by hand" or "by autograd"
    specs  the calls that made the replies, of equal number for each case
    names  functions of the file that take part beside the forward
    """
    letters = [letter for _, letter in exam.way.inputs]
    if (exam.model is None or exam.model.mistakes) and exam.form() != "core":
        return  # too many entries for differences
    results = []
    for case, dO, reply in zip(asked, upstream, replies, strict=True):
        if reply.error:
            return failing(exam, case, reply, bool(results))
        got = read(exam, case, reply, letters)
        if got is None:
            shapes = ", ".join(str(X.shape) for _, X in reply.out)
            exam.conventions.append(f"the backward's outputs ({shapes}) are not read")
            return
        results.append((case, dO, got, truth(exam, case, dO, letters)))
    size = [max(max(np.abs(w).max(initial=0.0) for w in want), 1e-300)
            for *_, want in results]
    exact = exam.model is not None and not exam.model.mistakes and exam.way.dtype != "tables"
    tolerance = 1e-9 if exact else 1e-5
    bad = [(i, k) for i, (_, _, got, want) in enumerate(results) for k in range(len(letters))
           if not (np.abs(got[k] - want[k]).max(initial=0.0) <= tolerance * size[i])]
    if not bad:
        exam.properties.append(Property(PROBE, True))
        return
    note_gradients(exam, results, size, tolerance, letters, specs, names)
    explain_gradients(exam, results, bad, how)


def failing(exam, case, reply, later):
    """A backward that raises. later: of a second call, where the first one did not."""
    place = exam.patient.place({"line": reply.line})
    if "does not require grad" in reply.error and re.search(
            r"@torch\.(no_grad|inference_mode)|with torch\.(no_grad|inference_mode)",
            exam.patient.text):
        exam.conventions.append("no gradients: it is computed without them (no_grad)")
        return
    exam.properties.append(Property(PROBE, False, {
        "case": case.words, "inputs": {}, "got": reply.error, "expected": "gradients"}))
    if later:
        exam.said("The backward of a second call fails, where the first one does not: it uses what "
                  f"an earlier call left (stale state). {reply.error}{place}.", reply.line)
    else:
        exam.said(f"The backward fails: {reply.error}{place}.", reply.line, exam.text(reply.line))


def explain_gradients(exam, results, bad, how):
    """The mistake of the backward that gives all gradients, or what is wrong with them."""
    letters = [letter for _, letter in exam.way.inputs]
    i, k = bad[0]
    case, dO, got, want = results[i]
    example = counterexample(exam, case, got[k], want[k])
    example["case"] = f"{case.words}: d{exam.way.inputs[k][0]}"
    exam.properties.append(Property(PROBE, False, example))
    if letters == ["q"] and exam.form() == "mha" and (lacking := paths(exam, results)):
        exam.said(lacking, *exam.patient.line(r"d[XxQqKkVv]\w* ?[+=]|\+"))
        return
    found = named(exam, results) if named_forms(exam, letters) else []
    for names in found[:3]:
        for name in names:
            exam.name_mistake(f"backward: {name}", len(found) == 1)
    if not found:
        describe_gradients(exam, results, bad, how)


def describe_gradients(exam, results, bad, how):
    """Which gradients are wrong, where, and by how much."""
    inputs = exam.way.inputs
    wrong = {inputs[k][0] for _, k in bad}
    shown = ", ".join(f"d{p}" for p, _ in inputs if p in wrong)
    fine = ", ".join(f"d{p}" for p, _ in inputs if p not in wrong)
    later = {i for i, _ in bad}
    if later == {len(results) - 1} and how == "by hand":
        exam.said(f"The gradients {shown} of a second call are wrong: the backward uses what "
                  "an earlier call left (stale state).", *exam.patient.line(r"self\.|global|cache"))
    elif min(later) > 0:
        where = results[min(later)][0].words.partition(" where ")[2] or "there is a second call"
        exam.said(f"The gradients {shown} are wrong where {where}.",
                  *exam.patient.line(r"mask|causal|where"))
    else:
        facts = "; ".join(dict.fromkeys(
            f"d{inputs[k][0]}{said}" for i, k in bad if i == bad[0][0]
            and (said := ratio(results[i][2][k], results[i][3][k]))))
        exam.said(f"The gradients {shown} are not the derivative of the forward"
                  f"{f' ({fine} is right)' * bool(fine)}{f': {facts}' * bool(facts)}.",
                  *exam.patient.line(r"detach|\.data|no_grad|d[QKVXS]|grad"))


def note_gradients(exam, results, size, tolerance, letters, specs, names):
    """Keep as evidence that gradients are not the derivative of the forward."""
    each = len(specs) // len(results)

    def fine(replies):
        for i, reply in enumerate(replies[each - 1 :: each]):
            case, _, _, want = results[i]
            got = None if reply.error else read(exam, case, reply, letters)
            if got is None or any(G is None or not np.abs(G - W).max(initial=0.0)
                                  <= tolerance * size[i] for G, W in zip(got, want, strict=True)):
                return False
        return True

    note(exam, specs, fine, each, names, BACKWARDS)


PATHS = {"q": "queries", "k": "keys", "v": "values"}


def paths(exam, results):
    """The sentence for a gradient of X that lacks, or doubles, one of its paths; "" if none."""
    if exam.model is None or exam.model.mistakes:
        return ""
    for counts in itertools.product((0, 1, 2), repeat=3):
        if counts == (1, 1, 1):
            continue
        for case, dO, got, want in results:
            parts = [truth(exam, case, dO, [x], tie=False)[0] for x in "qkv"]
            made = sum(n * G for n, G in zip(counts, parts, strict=True))
            if np.abs(made - got[0]).max() > 1e-8 * np.abs(want[0]).max():
                break
        else:
            said = [f"lacks the path through the {PATHS[x]}" if n == 0 else
                    f"counts the path through the {PATHS[x]} twice"
                    for x, n in zip("qkv", counts, strict=True) if n != 1]
            return (f"The gradient of the input {' and '.join(said)}; it is the sum of three: "
                    "through queries, keys and values.")
    return ""


def ratio(got, want):
    """What a gradient is in place of the right one, in a clause; ""."""
    if got.shape != want.shape:
        return ""
    if not np.isfinite(got).all():
        return " is not finite"
    if not got.any():
        return " is 0 (something is detached)"
    told = difference(got, want)
    return f": {told}" if told else ""


def read(exam, case, reply, letters):
    """Gradients of the inputs, in the reference's layout; None where they cannot be told."""
    arrays = list(reply.gradients) or [X for _, X in reply.out]
    found = []
    for letter in letters:
        axes = exam.way.axes(letter)
        shape = cases.outward(getattr(case, letter), axes).shape
        k = next((k for k, X in enumerate(arrays) if X.shape == shape), None)
        if k is None:
            return None
        X = arrays.pop(k)
        found.append(cases.inward(X, axes, case.q.ndim))
    return found


def truth(exam, case, dO, letters, tie=True):
    """The derivative of sum(output * dO) for each input.

    tie  whether inputs that are the same array change together
    """
    if exam.model is None or exam.model.mistakes:
        return differences(exam, case, dO, letters)
    found = []
    dead = ~fit.rows(case, exam.model, dO)
    up = np.where(dead, 0.0, dO)
    for letter in letters:
        X = getattr(case, letter)
        G = np.zeros(X.shape)
        for index in np.ndindex(X.shape):
            Z = X.astype(complex)
            Z[index] += STEP * 1j
            changed = tied(case, letter, Z, letters) if tie else case._replace(**{letter: Z})
            Y = fit.predict(exam.model, changed)[0]
            G[index] = (np.where(dead, 0.0, Y).imag * up).sum() / STEP
        found.append(G)
    return found


def tied(case, letter, Z, letters):
    """The case with one input replaced, and those that are the same array."""
    changed = {letter: Z}
    if letters == ["q"]:
        changed = {"q": Z, "k": Z, "v": Z}
    elif "v" not in letters and letter == "k":
        changed = {"k": Z, "v": Z}
    return case._replace(**changed)


def differences(exam, case, dO, letters, h=1e-3):
    """The same by differences of the code's own forward, of fourth order."""
    asked, places = [], []
    for letter in letters:
        X = getattr(case, letter)
        for index in np.ndindex(X.shape):
            for k in (-2, -1, 1, 2):
                Z = X.copy()
                Z[index] += k * h
                asked.append(tied(case, letter, Z, letters))
            places.append((letter, index))
    got = [Y for _, Y in exam.ask(asked)]
    found = {letter: np.zeros(getattr(case, letter).shape) for letter in letters}
    for n, (letter, index) in enumerate(places):
        a, b, c, d = got[4 * n : 4 * n + 4]
        if any(Y is None for Y in (a, b, c, d)):
            continue
        found[letter][index] = ((a - 8 * b + 8 * c - d) * dO).sum() / (12 * h)
    return [found[letter] for letter in letters]


def named_forms(exam, letters):
    """Whether the catalogue of backwards can be tried: on attention, and on a layer around it."""
    if exam.form() == "core":
        return len(letters) > 1
    return exam.model is not None and exam.model.form == "mha" and not (
        exam.model.c.unit or exam.model.c.rotary)


def named(exam, results):
    """[names of mistakes, …] of the backward that give all gradients."""
    found = []
    right = exam.model is not None and not exam.model.mistakes
    if not right:
        return found
    for size in (1, 2) if exam.form() == "core" else (1,):
        for names in itertools.combinations(BACKWARD, size):
            try:
                space = mistaken(*[f"backward: {n}" for n in names])
                fine = all(close(exam, space, *result) for result in results)
            except (EditError, ValueError, IndexError):  # they exclude each other, or shapes do
                continue
            if fine:
                found.append(names)
        if found:
            return found
    return found


def close(exam, space, case, dO, got, want):
    """Whether the gradients that the model makes in this space are those that came."""
    with np.errstate(all="ignore"):
        made = (through if exam.model.form == "mha" else core)(exam.model, space, case, dO)
    if len(got) < len(made):  # what comes from one input is one gradient
        made = (made[0], made[1] + made[2]) if len(got) == 2 else (sum(made),)
    size = max(np.abs(w).max(initial=0.0) for w in want)
    return all(a.shape == b.shape and np.abs(a - b).max(initial=0.0) <= 1e-9 * size
               for a, b in zip(made, got, strict=False))


def core(model, space, case, dO):
    """dQ, dK, dV of the reference, with the mistakes of `space`."""
    c, causal = model.c, bool(case.causal or model.causal)
    M = mistaken()["allowed"](case.keep, causal, case.q.shape[-2], case.k.shape[-2], c)
    return space["backward"](dO, case.q, case.k, case.v, M, c)


def through(model, space, case, dO):
    """The same for the inputs of a layer: through its projections, which are right."""
    c, W, right = model.c, model.W, mistaken()
    dO = right["split"](dO @ W["Wo"].T if "Wo" in W else dO, c.heads, c)
    heads = [right["split"](right["dense"](X, W[f"W{x}"], W[f"b{x}"]), n, c) for x, X, n in (
        ("q", case.q, c.heads), ("k", case.k, c.groups), ("v", case.v, c.groups))]
    inner = core(model, space, case._replace(q=heads[0], k=heads[1], v=heads[2]), dO)
    return [right["merge"](G, c) @ W[f"W{x}"].T for x, G in zip("qkv", inner, strict=True)]
