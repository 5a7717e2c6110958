"""Stages without a mask: sizes, options, large scores, a second call, dtypes."""

import re

import numpy as np

from npattn.doctor import cases, fit
from npattn.doctor.chunks import resetting
from npattn.doctor.comparing import KEEPS, KEPT, compare, counterexample
from npattn.doctor.examine import Property
from npattn.doctor.models import CAP, WINDOW, unbounded
from npattn.doctor.reference import varied
from npattn.doctor.repair import note
from npattn.doctor.ways import likely_output


def sizes_stage(exam):
    """Whether the call is right at every size: one query, one key, more queries."""
    base = exam.plain_sizes
    equal = {"Tq": 6, "Tk": 6} if base.get("Tq") else {}
    lone = {"Tq": 1, "Tk": 1 if equal else 6}
    asked = [exam.case("sizes", "all sizes differ", **({"Tq": 4, "Tk": 7} | equal), seed=1),
             exam.case("square", "there are as many queries as keys", Tq=4, Tk=4, seed=2),
             exam.case("one", "there is one query", **lone, seed=3),
             exam.case("one key", "there is one query and one key", Tq=1, Tk=1, seed=4),
             exam.case("more queries", "there are more queries than keys",
                       **({"Tq": 7, "Tk": 3} | equal), seed=5)]
    if "b" in exam.way.layout:
        asked += [exam.case("one item", "the batch has one item", B=1, seed=6),
                  exam.case("five items", "the batch has five items", B=5, seed=7)]
    if exam.form() == "core" and "h" in exam.way.layout and exam.target.sizes.heads == 1:
        asked += [exam.case("one head", "there is one head", H=1, seed=8)]
    if wider(exam):
        asked.append(exam.case("wide", "queries and keys are wider", seed=13, d=10))
    compare(exam, "it is attention for all sizes", asked, fit.PLAIN, soft=True)
    asked = [exam.case("strided", "arguments are views", options={"strided": True}, seed=9)]
    reply, = exam.patient.call([exam.patient.spec(exam.way, asked[0])])
    if reply.error:  # a limit that the code meets by an error, and no wrong number
        exam.conventions.append(f"refuses views of other strides: {reply.error}"
                                f"{exam.patient.place({'line': reply.line})}")
    else:
        compare(exam, "views give the same as copies", asked, ())
    long = [exam.case("long", f"there are {n} keys", Tq=m, Tk=k, B=2, seed=10 + k)
            for n, m, k in ((37, 9, 37), (130, 70, 130))]
    if exam.target.sizes.max_len and exam.target.sizes.max_len < 130:
        long = long[:1]
    if exam.hints.get("length"):
        return
    longest = long[1:] and exam.patient.call([exam.patient.spec(exam.way, long[1])])[0].error
    if longest:  # a buffer of fixed size is a limit and no mistake, if it says so by an error
        exam.conventions.append(f"takes fewer than 130 keys: {longest}")
        long = long[:1]
    compare(exam, "long inputs give the same", long, fit.PLAIN, soft=True)


def wider(exam):
    """Whether heads of another width may be given, and come back."""
    if exam.form() != "core" or exam.model is None or "scale" in exam.hints or (
            exam.target.parameter("scale") or abs(exam.model.c.scale - 1.0) > 1e-9
            or exam.dv == cases.Sizes().d):
        return False
    case = exam.case("wide", "queries and keys are wider", seed=13, d=10)
    return not exam.patient.call([exam.patient.spec(exam.way, case)])[0].error


def groups_stage(exam):
    """Fewer heads of keys than of queries, where the code takes them."""
    if exam.form() != "core" or "h" not in exam.way.layout or exam.target.parameter("kv_heads") or (
            exam.model is None or exam.model.mistakes or exam.model.c.slopes is not None
            or exam.model.c.sink is not None):
        return
    asked = [exam.case("groups", "two query heads share a key head", seed=14, H=4, Hk=2),
             exam.case("groups", "three query heads share a key head", seed=15, H=6, Hk=2, B=1)]
    observed = exam.ask(asked)
    if any(got is None for _, got in observed):
        return
    if fit.fits(exam.model, observed, exam.way.dtype):
        exam.grouped = True
        exam.conventions.append("takes fewer heads of keys than of queries")
    elif re.search(r"kv|rep|group|gqa|mqa|hk", exam.patient.text, re.IGNORECASE):
        compare(exam, "a key head serves the query heads beside it", asked, fit.PLAIN)


def alone_stage(exam):
    """Self-attention, where keys and values may be left out."""
    if exam.model is None or exam.model.mistakes or exam.mistakes or exam.form() == "core":
        return
    left_out = [n for n, _ in exam.way.inputs[1:]]
    if not left_out or any(need for n, _, need, _ in exam.target.parameters if n in left_out):
        return
    way = exam.way
    exam.way = way._replace(inputs=way.inputs[:1], mask=(), causal="")
    asked = [exam.case("alone", f"{' and '.join(left_out)} is left out", seed=18),
             exam.case("alone", f"{' and '.join(left_out)} is left out", seed=19, B=2, Tq=8)]
    if any(got is not None for _, got in exam.ask(asked)):
        compare(exam, "what is left out is the queries' own input", asked, fit.PLAIN, soft=True)
    exam.way = way


def options_stage(exam):
    """Options that are off by default, and sizes of tiles: each is given once."""
    if exam.model is None or exam.model.mistakes or exam.mistakes:
        return
    c, causal = exam.model.c, exam.model.causal
    width = cases.Sizes().d if exam.form() == "core" else (
        exam.target.sizes.width // exam.target.sizes.heads)
    for name, default, required, role in exam.target.parameters:
        off = default in (None, False) and not required
        if role == "tile":
            option(exam, name, 3, [{}])
        elif role == "returns" and off and exam.way.out == ():
            option(exam, name, True, [{}])
        elif role == "window" and off:
            sides = [{"window": WINDOW}] if causal else [
                *unbounded(WINDOW), {"window": WINDOW, "causal": True}]
            option(exam, name, WINDOW, sides, not causal)
        elif role == "cap" and (off or default == 0) and not required:
            option(exam, name, CAP, [{"cap": CAP}])
        elif role == "scale" and default == 1.0 and re.search("temp|tau", name):
            option(exam, name, 2.0, [{"scale": 0.5 * c.scale}], True)
        elif role == "scale" and off:  # in place of 1/√d, or a temperature, or both
            root = np.sqrt(width)
            option(exam, name, 0.25, [{"scale": x} for x in (
                0.25 * root, 0.25 * c.scale, 4.0 * root, 4.0 * c.scale)], True)


def option(exam, name, value, fields, open_=False):
    """The model and the code with one option more.

    fields  conventions that the option may mean
    open_   there may be others: what fits none of them is not called wrong
    """
    model, way = exam.model, exam.way
    exam.way = way._replace(others=(*[o for o in way.others if o[0] != name],
                                    (name, ("value", value))))
    words = f"{name} is {value}"
    sizes = ({"Tq": 6, "Tk": 6}, {"Tq": 8, "Tk": 8}) if exam.plain_sizes.get("Tq") else (
        {"Tq": 6, "Tk": 9}, {"Tq": 7, "Tk": 8}, {"Tq": 8, "Tk": 8})
    asked = [exam.case("option", words, seed=16 + i, **s) for i, s in enumerate(sizes)]
    observed = exam.ask(asked)
    if value is True:  # more comes back: the output has another place
        found = [likely_output(r, exam.way, c) for r, c in zip(exam.replies, asked, strict=True)
                 if not r.error]
        if not found or None in found:
            exam.way = way
            return
        exam.way = exam.way._replace(out=found[0][0])
        observed = exam.ask(asked)
    asked = [case for case, got in observed if got is not None]
    observed = [(case, got) for case, got in observed if got is not None]
    kinds = [model._replace(
        c=varied(model.c, **{k: v for k, v in more.items() if k != "causal"}),
        causal=more.get("causal", model.causal)) for more in fields]
    fine = [k for k in kinds if fit.fits(k, observed, exam.way.dtype)]
    if asked and fields != [{}] and not fine and fit.fits(model, observed, exam.way.dtype):
        exam.said(f"The option `{name}` has no effect.", *exam.patient.line(rf"\b{name}\b"))
        exam.properties.append(Property(f"the option {name} does what it says", False, {
            "case": words, "inputs": {}, "got": "what comes out without it", "expected": ""}))
    elif asked and not fine and re.search("temp|tau", name) and fit.fits(model._replace(
            c=varied(model.c, scale=value * model.c.scale)), observed, exam.way.dtype):
        exam.said(f"The scores are multiplied by `{name}`; a temperature divides them.",
                  *exam.patient.line(rf"\b{name}\b(?!.*def )"))
        exam.properties.append(Property(f"the option {name} does what it says", False, {
            "case": words, "inputs": {}, "got": "scores that are larger", "expected": "smaller"}))
    elif asked and (fine or not open_):
        exam.model = (fine or kinds)[0]
        compare(exam, f"the option {name} does what it says", asked, fit.PLAIN)
    exam.way, exam.model = way, model


def scores_stage(exam):
    """Large scores, small ones, rows of different size."""
    def big(size, seed, rows=False):
        case = exam.case("large", f"the inputs are {size:g} times as large", size=size,
                         seed=seed, options={"loose": 1e5})
        if rows and len(exam.way.inputs) > 1:
            q = case.q.copy()
            q[..., 1:, :] *= 1e-3
            case = case._replace(q=q, words="rows of scores are of different sizes")
        return case

    if exam.form() == "block":
        return
    asked = [big(3.0, 1), big(60.0 if exam.form() == "core" else 25.0, 2)]
    if exam.form() == "core" and len(exam.way.inputs) > 1:
        asked.append(big(60.0, 3, True))
        low = exam.case("low", "all scores are far below 0", seed=4, options={"loose": 1e5})
        q, k = np.abs(low.q) + 0.1, -np.abs(low.k) - 0.1
        asked.append(low._replace(q=60.0 * q, k=60.0 * k))
        asked.append(low._replace(q=-60.0 * q, k=60.0 * k, words="all scores are far above 0"))
    compare(exam, "large scores do not overflow", asked, fit.NUMERIC + tuple(fit.PLAIN))


def repeat_stage(exam):
    """The same call again, and what is left of the calls between."""
    a = exam.case("first", "a call is repeated", seed=20)
    b = exam.case("other", "another call", seed=21, Tk=8, Tq=8)
    a2 = a._replace(options={"seed": 5})
    kept = exam.way.fresh
    exam.way = exam.way._replace(fresh=False)
    (_, one), (_, two), _, (_, three) = exam.ask([a, a2, b, a])
    replies = exam.replies
    exam.way = exam.way._replace(fresh=kept)
    if one is None:
        return
    same = two is not None and fit.gap(two, one) == 0.0
    exam.properties.append(Property(
        "evaluation is deterministic", same,
        {} if same else counterexample(exam, a, two, one)))
    if kept and resetting(exam):
        exam.properties.pop()
        exam.conventions.append("it keeps a cache between calls, until it is reset")
        return
    if not same:
        if kept:
            exam.said(KEPT, *exam.patient.line(KEEPS))
        else:
            exam.said("Two calls with the same arguments give different outputs: dropout, or "
                      "other noise, is on in evaluation.", *exam.patient.line(r"drop|rand"))
        return
    again = three is not None and fit.gap(three, one) <= 1e-12
    exam.properties.append(Property("a second call gives the same", again,
                                    {} if again else counterexample(exam, a, three, one)))
    if not again:
        note_calls(exam, [a, b, a])
        exam.said(KEPT, *exam.patient.line(KEEPS))
    exam.written |= {name for r in replies for name in r.wrote}


def note_calls(exam, asked):
    """Keep calls in this order as evidence: none must matter to the next, nor be written to."""
    if exam.model is None:
        return
    way, model = exam.way, exam.model._replace(mistakes=())

    def fine(replies):
        return not any(r.wrote for r in replies) and fit.fits(model, [
            (case, cases.received(r, way, case)) for case, r in zip(asked, replies, strict=True)],
            way.dtype)

    specs = [exam.patient.spec(way._replace(fresh=False), case) for case in asked]
    note(exam, specs, fine, len(specs))


def writing_stage(exam):
    """Whether any of the calls so far has written to its arguments."""
    wrote = sorted(exam.written)
    exam.properties.append(Property("inputs are not written to", not wrote,
                                    {"inputs": {n: "changed" for n in wrote}} if wrote else {}))
    if wrote:
        note_calls(exam, [exam.case("again", "", seed=s) for s in (1, 2)])
        exam.said(f"The call writes to its argument {', '.join(wrote)}; callers find it changed.",
                  *exam.patient.line(r"[-+*/]=|\]\s*=|_\(|out="))


def dtype_stage(exam):
    """float64 is computed in float64; float32 stays about float32."""
    if exam.way.dtype != "float64":
        exam.conventions.append("works in 32 bits only")
        wide = exam.patient.call([exam.patient.spec(exam.way._replace(dtype="float64"), exam.case(
            "float64", "arguments are float64", seed=30))])[0]
        if exam.model is not None and re.search(r"dtype|scalar type|[Dd]ouble|cast", wide.error):
            exam.properties.append(Property("the dtype is kept", False, {
                "case": "arguments are float64", "inputs": {}, "got": wide.error,
                "expected": "an output in float64"}))
            place = exam.patient.place({"line": wide.line})
            exam.said("It takes float32 alone; with arguments of another dtype (float64, half) it "
                      f"fails: {wide.error}{place}. What is made inside must be cast back to the "
                      "dtype of its arguments.", wide.line)
        return
    case = exam.case("float32", "arguments are float32", seed=30,
                     options={"dtype": "float32"})
    reply, = exam.patient.call([exam.patient.spec(exam.way, case)])
    out = dict(reply.out).get(exam.way.out)
    if out is None:
        exam.conventions.append("takes float64 only")
        return
    if out.dtype == np.float64:
        exam.conventions.append("float32 arguments give a float64 output")
    wide, = exam.patient.call([exam.patient.spec(exam.way, exam.case("float64", "", seed=30))])
    X = dict(wide.out).get(exam.way.out)
    kept = X is not None and X.dtype == np.float64 and out.dtype in (np.float32, np.float64)
    exam.properties.append(Property("the dtype is kept", bool(kept), {} if kept else {
        "inputs": "float64", "got": str(None if X is None else X.dtype), "expected": "float64"}))
    if not kept:
        exam.said("float64 arguments give an output of less precision.",
                  *exam.patient.line(r"float32|astype|dtype|\.float\(|float16|half"))
