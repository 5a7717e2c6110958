"""Gradients: hand-written backwards, and autograd's, against the derivative of the forward.

Where the forward is right, the derivative is the reference's by complex step; where it is wrong,
that of the code's own forward by differences, so that the backward is not blamed for it.
"""

import re

import numpy as np

from npattn.doctor import cases, roles
from npattn.doctor.examine import Property
from npattn.doctor.gradient_mistakes import PROBE, explain_gradients, note_gradients
from npattn.doctor.gradient_truths import read, truth
from npattn.doctor.weight_gradients import (
    kept_gradients, module_gradients, returned_gradients,
)

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
