"""The stages of an examination that has found out how to call: what is asked, and what it means."""

import numpy as np

from npattn.doctor import cases, fit
from npattn.doctor.catalogue import STEPS, mistaken
from npattn.doctor.examine import Property
from npattn.edits import EditError

RNG = np.random.default_rng


def shown(X, most=60):
    """An array for a counterexample: small ones as nested lists, others by their shape."""
    X = np.asarray(X)
    if X.size > most:
        return {"shape": list(X.shape), "start": plain(X.reshape(-1)[:8])}
    return plain(X)


def plain(X):
    """Nested lists that JSON can write: NaN and infinities as text."""
    if isinstance(X, np.ndarray) and X.ndim:
        return [plain(x) for x in X]
    if X.dtype.kind in "iu":
        return int(X)
    if X.dtype.kind == "b":
        return bool(X)
    return round(float(X), 6) if np.isfinite(X) else str(float(X))


def counterexample(exam, case, got, expected):
    """What was put in, what came out, what should have."""
    inputs = {}
    way = exam.way
    for parameter, letter in way.inputs:
        inputs[parameter] = shown(cases.outward(getattr(case, letter), way.layout))
    if way.mask and case.keep is not None:
        inputs[way.mask[0]] = shown(cases.written(case.keep, case.form, way.mask[2])[1])
    if way.causal:
        inputs[way.causal] = bool(case.causal)
    out = "an error" if got is None else shown(cases.outward(got, way.layout))
    wanted = expected if isinstance(expected, str) else shown(
        cases.outward(expected, way.layout)) if expected is not None else None
    found = {"case": case.words, "inputs": inputs, "got": out, "expected": wanted}
    if got is not None and isinstance(expected, np.ndarray) and got.shape == expected.shape:
        off = np.abs(np.nan_to_num(got, nan=1e30, posinf=1e30, neginf=-1e30)
                     - np.nan_to_num(expected, nan=0.0))
        if got.size <= 4096:
            worst = np.unravel_index(off.argmax(), off.shape)
            found["worst"] = {"index": [int(i) for i in worst], "got": plain(got[worst]),
                              "expected": plain(np.asarray(expected)[worst])}
    return found


def compare(exam, probe, asked, names=(), right=None, soft=False, **extra):
    """Ask for cases and compare them with the model; name what explains a difference.

    soft    an error that the code raises by itself is a limit of it and no mistake
    Returns whether all of them agree.
    """
    observed = exam.ask(asked, **extra)
    replies = exam.replies
    if exam.model is None:
        return None
    right = right or exam.model._replace(mistakes=())
    pairs = list(zip(observed, replies, strict=True))
    returned_weights(exam, pairs)
    if soft:
        left = [(o, r) for o, r in pairs if not refuses(r)]
        for (case, _), r in pairs:
            if refuses(r):
                exam.conventions.append(f"refuses {case.words}: {r.error}")
        pairs = left
    observed = [o for o, _ in pairs]
    bad = []
    for (case, got), reply in pairs:
        far = fit.distance(exam.model, case, got)
        exam.compared += 1
        if far <= fit.tolerance(case, exam.way.dtype) * exam.loose:
            if not exam.model.mistakes:
                exam.worst = max(exam.worst, far)
        else:
            bad.append((case, got, reply))
    if not bad:
        exam.properties.append(Property(probe, None if exam.model.mistakes else True))
        return True
    found = fit.explain([exam.model], observed, names, exam.way.dtype) if names else []
    harmless = [m for m in found if m.mistakes[-1] in fit.HARMLESS]
    if harmless:
        exam.model = harmless[0]
        exam.conventions.append(f"{harmless[0].mistakes[-1]} of the softmax: {'harmless'}")
        exam.properties.append(Property(probe, True))
        return True
    case, got, reply = min(bad, key=lambda b: b[0].q.size + b[0].k.size)
    try:
        want = fit.predict(right, case)[0]
    except fit.Failed:
        want = None
    example = counterexample(exam, case, got, want)
    if got is None:
        example["got"] = reply.error or "an output of another shape"
        example["line"] = reply.line
    exam.properties.append(Property(probe, False, example))
    if found:
        exam.blame(found)
        exam.model = found[0]
    elif got is None and reply.error:
        exam.said(f"It fails where {case.words}: {reply.error}"
                  f"{exam.patient.place({'line': reply.line})}.", reply.line)
    return False


def returned_weights(exam, pairs):
    """Whether weights that come back beside the output are those that made it."""
    for (case, got), reply in pairs:
        if got is None or exam.model.mistakes:
            continue
        try:
            P = fit.predict(exam.model, case)[1]
        except fit.Failed:
            continue
        for path, X in reply.out:
            if path == exam.way.out or X.dtype.kind != "f" or X.shape[-2:] != P.shape[-2:]:
                continue
            sums = X.sum(-1)
            if X.ndim < 2 or not np.allclose(sums[np.isfinite(sums)], 1.0, atol=1e-6) or (
                    X[np.isfinite(X)] < 0).any():
                continue  # something else
            means = [P, P.mean(1), P[0], P[:, 0], P[0, 0], P.max(1)]
            same = [Q for Q in means if Q.shape == X.shape]
            live = fit.alive(case, exam.model).all()
            if same and live and min(fit.gap(X, Q) for Q in same) > 1e-9 and (
                    exam.way.dtype == "float64"):
                exam.said("The weights that are returned are not those that make the output, where "
                          f"{case.words}.", *exam.patient.line(r"return"))
                exam.properties.append(Property(
                    "returned weights are those of the output", False,
                    counterexample(exam, case, None, None) | {"got": shown(X),
                                                              "expected": shown(same[0])}))
                return
            if same:
                note = "it returns the weights, too"
                if note not in exam.conventions:
                    exam.conventions.append(note)


def refuses(reply):
    """Whether the code itself refuses the call: an exception that it raises on purpose."""
    return reply.error.startswith(("ValueError", "AssertionError", "NotImplementedError")) and (
        reply.inside) and "broadcast" not in reply.error and "matmul" not in reply.error


def sizes_stage(exam):
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
    compare(exam, "it is attention for all sizes", asked, fit.PLAIN, soft=True)
    asked = [exam.case("strided", "arguments are views", options={"strided": True}, seed=9)]
    compare(exam, "views give the same as copies", asked, ())
    long = [exam.case("long", f"there are {n} keys", Tq=m, Tk=k, B=2, seed=10 + k)
            for n, m, k in ((37, 9, 37), (130, 70, 130))]
    if exam.target.sizes.max_len and exam.target.sizes.max_len < 130:
        long = long[:1]
    if exam.hints.get("length"):
        return
    compare(exam, "long inputs give the same", long, fit.PLAIN, soft=True)


def scores_stage(exam):
    """Large scores, small ones, rows of different size."""
    def big(size, seed, rows=False):
        case = exam.case("large", f"the scores are about {size} times as large", size=size,
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
    (_, one), (_, two), _, (_, three) = exam.ask([a, a2, b, a])
    replies = exam.replies
    if one is None:
        return
    same = two is not None and fit.gap(two, one) == 0.0
    exam.properties.append(Property(
        "evaluation is deterministic", same,
        {} if same else counterexample(exam, a, two, one)))
    if not same:
        if exam.model is None or not exam.model.mistakes or True:
            exam.said("Two calls with the same arguments give different outputs: dropout, or "
                      "other noise, is on in evaluation.", *exam.patient.line(r"drop|rand"))
        return
    again = three is not None and fit.gap(three, one) <= 1e-12
    exam.properties.append(Property("a second call gives the same", again,
                                    {} if again else counterexample(exam, a, three, one)))
    if not again:
        exam.said("What a call returns depends on the calls before it: something is kept between "
                  "calls.", *exam.patient.line(r"self\.\w+ ?=|global|cache|append"))
    wrote = sorted({name for r in replies for name in r.wrote})
    exam.properties.append(Property("inputs are not written to", not wrote,
                                    {"inputs": {n: "changed" for n in wrote}} if wrote else {}))
    if wrote:
        exam.said(f"The call writes to its argument {', '.join(wrote)}; callers find it changed.",
                  *exam.patient.line(r"[-+*/]=|\]\s*=|_\(|out="))


def dtype_stage(exam):
    """float64 is computed in float64; float32 stays about float32."""
    if exam.way.dtype != "float64":
        exam.conventions.append("works in 32 bits only")
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


# ---- masks ----


def mask_stage(exam):
    """Each mask parameter: its form and convention, then masks of all kinds."""
    for name, default, required, role in exam.target.parameters:
        if role in ("mask", "lens"):
            one_mask(exam, name, role)


def one_mask(exam, name, role):
    way, model = exam.way, exam.model
    if exam.tried_forms_fail(name):
        return
    options = [(form, how) for form in exam.forms(role, way.layout)
               for how in exam.hows(role, name)]
    ran, good = trial(exam, name, options)
    sizes = None
    if not ran:
        for sizes in ({"B": exam.heads(), "Tq": 5, "Tk": 5}, {"B": 5, "Tq": 5, "Tk": 5},
                      {"B": 1}, {"Tq": 5, "Tk": 5}):
            ran, good = trial(exam, name, options, **sizes)
            if ran:
                break
        else:
            error = exam.mask_error
            exam.said(f"Every call with `{name}` fails: {error.error}"
                      f"{exam.patient.place({'line': error.line})}.", error.line,
                      exam.text(error.line))
            exam.properties.append(Property("a masked key does not matter", False,
                                            {"inputs": {name: "any mask"}, "got": error.error,
                                             "expected": "an output"}))
            return
        exam.said_note(f"`{name}` works for equal sizes only: {exam.mask_error.error}"
                       f"{exam.patient.place({'line': exam.mask_error.line})}")
    if model is None:
        masked_properties(exam, name, ran)
        return
    for other, case, got, _ in [] if good else exam.tried:  # the mask may be for another layout
        if other.layout == way.layout or not fit.fits(model, [(case, got)], way.dtype):
            continue
        exam.way = other._replace(causal=way.causal)
        options = [(form, how) for form in exam.forms(role, other.layout)
                   for how in exam.hows(role, name)]
        more, good = trial(exam, name, options)
        if good:
            way, ran = exam.way, more
            break
    else:
        exam.way = way
    if not good:
        explain_mask(exam, name, ran, sizes)
        return
    fine = {form for form, _ in good}
    wider = [r for r in ran if r[0] not in fine and "b" in r[0] and r[1] == good[0][1]
             and not any("b" in form for form in fine)]
    for form, how, observed in wider:
        found = fit.explain([model], observed, FIRSTS, way.dtype)
        if found:
            exam.way = way._replace(mask=(name, form, how))
            exam.blame(found)
            case, got = observed[0]
            exam.properties.append(Property("each item has its own mask", False, counterexample(
                exam, case, got, fit.predict(model, case)[0])))
            return
    first = {}
    for option in good:
        first.setdefault(option[0], option[1])
    chosen = list(first.items())
    how = chosen[0][1]
    said = "valid lengths" if role == "lens" or chosen[0][0].startswith("lens") else cases.SAID.get(
        how, how[0])
    forms = ", ".join(f"({', '.join(words(f, exam.way.layout))})" for f, _ in chosen[:3])
    exam.conventions.append(f"`{name}`: {said}; axes {forms}")
    if "mask" not in exam.hints and role == "mask":
        exam.guessed.append(f"mask={how[0]}")
    if sizes is not None:
        exam.mistakes.append({"name": "mask for equal sizes", "sentence": (
            f"`{name}` is right for equal sizes only, and fails for others: "
            f"{exam.mask_error.error}{exam.patient.place({'line': exam.mask_error.line})}."),
            "line": exam.mask_error.line, "text": "", "certain": True})
        return
    for form, how in chosen:
        masks(exam, name, form, how)


FIRSTS = ("mask of the first item", "mask of the first query", "mask of the first head")


def words(form, layout):
    return [{"b": "B", "h": "H", "q": "Tq", "k": "Tk", "1": "1"}[a] for a in form
            ] if not form.startswith("lens") else (["B", "Tq"] if form == "lens2" else ["B"])


def trial(exam, name, options, **sizes):
    """(options that come back, options that agree with the model)."""
    asked = []
    for form, how in options:
        for seed in (0, 1, 2):
            case = exam.case("mask", "there is a mask", seed=40 + seed, **(exam.small(sizes)))
            asked.append((form, how, exam.masked(case, form, seed)))
    specs = [exam.patient.spec(exam.way._replace(mask=(name, form, how)), case)
             for form, how, case in asked]
    replies = exam.patient.call(specs)
    ran, good, k = [], [], 0
    exam.mask_error = next((r for r in replies if r.error), None)
    for form, how in options:
        observed = []
        for _ in range(3):
            _, _, case = asked[k]
            reply = replies[k]
            k += 1
            out = None if reply.error else dict(reply.out).get(exam.way.out)
            got = None if out is None else cases.inward(out, exam.way.layout, case.q.ndim)
            if got is not None and got.shape[:-1] != case.q.shape[:-1]:
                got = None
            observed.append((case, got))
        if any(got is None for _, got in observed):
            continue
        ran.append((form, how, observed))
        if exam.model is not None and fit.fits(exam.model, observed, exam.way.dtype):
            good.append((form, how))
    return ran, good


def explain_mask(exam, name, ran, sizes):
    """No convention gives the outputs: which mistake does, in which convention?"""
    preferred = sorted(ran, key=lambda r: (exam.hows_order(name, r[1]),))
    names = fit.MASKING + [n for n in fit.PLAIN if "softmax" in n or "maximum" in n]
    if not exam.fixed_polarity(name):
        names = [n for n in names if n != "mask inverted"] + ["mask inverted"]
    for form, how, observed in preferred:
        found = fit.explain([exam.model], observed, names, exam.way.dtype)
        if found:
            exam.way = exam.way._replace(mask=(name, form, how))
            more = [exam.masked(exam.case("mask", "", seed=60 + s, size=z), form, 9 + s)
                    for s, z in ((0, 1.0), (1, 2.0))] if sizes is None else []
            seen = exam.ask(more)
            left = [m for m in found if fit.fits(m, seen, exam.way.dtype)]
            found = left or found
            exam.blame(found)
            case, got = observed[0]
            want = fit.predict(exam.model._replace(mistakes=()), case)[0]
            exam.properties.append(Property("a masked key does not matter", False,
                                            counterexample(exam, case, got, want)))
            return
    masked_properties(exam, name, ran)


def masked_properties(exam, name, ran):
    """Without an explanation: whether masked keys matter, in the convention that is kindest."""
    best = None
    order = sorted(ran, key=lambda r: exam.hows_order(name, r[1]))
    for form, how, observed in order:
        exam.way = exam.way._replace(mask=(name, form, how))
        case = observed[0][0]
        dark = ~np.broadcast_to(case.keep, (*case.keep.shape[:2], case.q.shape[-2],
                                            case.k.shape[-2])).any((0, 1, 2))
        if not dark.any() or len(exam.way.inputs) == 1:
            flat = case.keep.copy()
            flat[..., -1] = False
            flat[..., 0] |= ~flat.any(-1)
            case = case._replace(keep=flat)
            dark = np.zeros(case.k.shape[-2], bool)
            dark[-1] = True
        other = exam.poisoned(case, dark)
        (_, one), (_, two) = exam.ask([case, other])
        if one is None or two is None:
            continue
        if len(exam.way.inputs) == 1:
            one, two = one[..., ~dark, :], two[..., ~dark, :]
        if fit.gap(two, one) < 1e-9:
            exam.conventions.append(f"`{name}`: {cases.SAID.get(how, 'valid lengths')}")
            exam.properties.append(Property("a masked key does not matter", True))
            if exam.model is not None:
                c, got = observed[0]
                want = fit.predict(exam.model._replace(mistakes=()), c)[0]
                exam.properties.append(Property("masked outputs are those of attention", False,
                                                counterexample(exam, c, got, want)))
            return
        best = best or (case, other, one, two)
    if best:
        case, other, one, two = best
        example = counterexample(exam, other, two, one)
        example["case"] = "a masked key and its value are changed"
        exam.properties.append(Property("a masked key does not matter", False, example))
        exam.said(f"A key that `{name}` masks still matters.", *exam.patient.line(
            r"mask|where|masked_fill|tril|triu"))


def masks(exam, name, form, how):
    """Masks of one form in all kinds of cases."""
    exam.way = exam.way._replace(mask=(name, form, how))
    case = exam.case("mask", "there is a mask", seed=50)
    asked = [exam.masked(case, form, 3), exam.masked(exam.case("m", "there is a mask and one item",
                                                               B=1, seed=51), form, 4),
             exam.masked(exam.case("m", "there is a mask and many keys", seed=52, Tq=9, Tk=37),
                         form, 5),
             exam.masked(exam.case("m", "there are as many queries as keys, and a mask", seed=53,
                                   Tq=6, Tk=6), form, 6),
             exam.everything(case, form)]
    if exam.target.sizes.max_len and exam.target.sizes.max_len < 37:
        asked.pop(2)
    names = fit.MASKING
    compare(exam, "masked keys do not count, allowed ones do", asked, names, soft=True)
    large = [exam.masked(exam.case("m", "there is a mask and large scores", seed=54 + s, size=z,
                                   options={"loose": 1e5}), form, 7 + s)
             for s, z in ((0, 4.0), (1, 12.0))]
    if exam.form() != "block":
        compare(exam, "a mask holds where scores are large", large, names + list(fit.NUMERIC))
    dark = exam.masked(exam.case("m", "there is a mask", seed=56), form, 9)
    flat = np.broadcast_to(dark.keep, (*dark.keep.shape[:2], dark.keep.shape[2],
                                       dark.k.shape[-2])).copy()
    if not form.startswith("lens"):
        flat[..., -2:] = False
        flat[..., 0] |= ~flat.any(-1)
        hidden = np.zeros(dark.k.shape[-2], bool)
        hidden[-2:] = True
    else:
        hidden = ~flat.any((0, 1, 2))
    dark = dark._replace(keep=flat)
    if hidden.any() and len(exam.way.inputs) > 1:
        other = exam.poisoned(dark, hidden)
        compare(exam, "a masked key does not matter, whatever it holds",
                [other._replace(words="masked keys and values are large",
                                options={"loose": 1e4})], names)
    dead_stage(exam, name, form)


def dead_stage(exam, name, form):
    """A query that may attend to nothing."""
    case = exam.case("dead", "a query may attend to nothing", seed=57)
    case = exam.masked(case, form, 11, dead=True)
    (_, got), = exam.ask([case])
    reply = exam.replies[0]
    if got is None:
        exam.conventions.append(f"a query without keys raises {reply.error}" if refuses(reply)
                                else f"a query without keys is an error: {reply.error}")
        return
    if exam.model is None:
        return
    far = fit.distance(exam.model, case, got)
    if far > fit.tolerance(case, exam.way.dtype):
        want = fit.predict(exam.model, case)[0]
        exam.properties.append(Property("a query without keys harms no other query", False,
                                        counterexample(exam, case, got, want)))
        exam.said("A query that may attend to nothing changes the outputs of others.",
                  *exam.patient.line(r"mask|max|softmax"))
        return
    exam.properties.append(Property("a query without keys harms no other query", True))
    dead = ~fit.alive(case, exam.model)
    if exam.form() != "core":
        dead = dead.all(1)
    row = got[np.broadcast_to(dead, got.shape[:-1])]
    if not row.size:
        return
    kind = "something else"
    if np.isnan(row).any():
        kind = "NaN (which spreads to all that is computed from it)"
    elif not row.any():
        kind = "0"
    elif exam.form() == "core":
        B, H = got.shape[:2]
        mean = np.broadcast_to(case.v.mean(-2, keepdims=True), case.v.shape[:2] + (
            1, case.v.shape[-1]))
        mean = np.repeat(mean, got.shape[1] // mean.shape[1], 1)
        mean = np.broadcast_to(mean, got.shape)[np.broadcast_to(dead, got.shape[:-1])]
        if np.allclose(row, mean, atol=1e-6):
            kind = "the mean of all values (uniform weights), masked ones included"
    exam.conventions.append(f"a query without keys gives {kind}")
    wanted = exam.hints.get("dead")
    known = {"zero": "0", "nan": "NaN", "uniform": "the mean"}
    if wanted and not kind.startswith(known[wanted]):
        exam.said(f"A query without keys gives {kind}; {wanted} was asked for.", 0, "")


# ---- causal ----


CORNERS = {"upper": "upper left corner, the first query is at the first key",
           "lower": "lower right corner, the last query is at the last key"}


def causal_stage(exam):
    name = exam.target.parameter("causal")
    if not name or exam.model is None:
        if exam.model is not None and exam.model.causal:
            exam.conventions.append("causal: a query attends to its own and earlier tokens")
        return
    exam.way = exam.way._replace(causal=name)
    equal = exam.plain_sizes.get("Tq")
    square = [exam.case("causal", "it is causal", Tq=5, Tk=5, seed=70)._replace(causal=True),
              exam.case("causal", "it is causal and long", Tq=40, Tk=40,
                        seed=71)._replace(causal=True),
              exam.case("causal", "it is not causal", Tq=5, Tk=5, seed=72)]
    if not compare(exam, "the future does not matter", square, fit.CAUSAL):
        return
    if len(exam.way.inputs) == 1 or equal:
        return both(exam, name)
    cross = [exam.case("causal", "it is causal and there are more keys than queries", Tq=3, Tk=7,
                       seed=73)._replace(causal=True),
             exam.case("causal", "it is causal and there is one query", Tq=1, Tk=6,
                       seed=74)._replace(causal=True)]
    observed = exam.ask(cross)
    if all(refuses(r) for r in exam.replies):
        exam.conventions.append("causal: for as many queries as keys only")
        return both(exam, name)
    corner = exam.hints.get("corner")
    for c in [corner] if corner else ["upper", "lower"]:
        model = exam.model._replace(c=_with(exam.model.c, corner=c))
        if fit.fits(model, observed, exam.way.dtype):
            exam.model = model
            exam.conventions.append(f"causal: {CORNERS[c]}")
            exam.properties.append(Property("causal for Tq ≠ Tk", True))
            return both(exam, name)
    if corner:
        exam.model = exam.model._replace(c=_with(exam.model.c, corner=corner))
    compare(exam, "causal for Tq ≠ Tk", cross, fit.CAUSAL)


def both(exam, name):
    """A causal mask and another one together."""
    if not exam.way.mask:
        return
    form = exam.way.mask[1]
    asked = [exam.masked(exam.case("both", "it is causal and there is a mask", seed=75 + s,
                                   **({"Tq": 6, "Tk": 6} if s else {"Tq": 5, "Tk": 5})),
                         form, 20 + s)._replace(causal=True) for s in (0, 1, 2)]
    compare(exam, "causal and a mask hold together", asked, fit.MASKING + fit.CAUSAL)


def _with(c, **changed):
    from types import SimpleNamespace

    return SimpleNamespace(**{**vars(c), **changed})


# ---- what can be said without a model ----


def property_stage(exam):
    """Properties of attention that need no reference."""
    case = exam.case("property", "a plain call", seed=80)
    letters = [letter for _, letter in exam.way.inputs]
    asked, kinds = [case], []
    causal = exam.model is not None and exam.model.causal or exam.hints.get("causal") == "yes"
    turned = RNG(1).permutation(case.k.shape[-2])
    if exam.form() == "core" and "v" in letters:
        asked.append(case._replace(v=np.ones_like(case.v)))
        kinds.append(("the output is an average of values", lambda one, new: np.ones_like(one)))
    if len(letters) > 1 and not causal:
        asked.append(case._replace(k=case.k[..., turned, :], v=case.v[..., turned, :]))
        kinds.append(("the order of keys and values does not matter", lambda one, new: one))
    if "b" in exam.way.layout:
        def other(X):
            Y = X.copy()
            Y[1:] = -Y[1:] + 0.5
            return Y

        q, k, v = other(case.q), other(case.k), other(case.v)
        asked.append(case._replace(q=q, k=k, v=v))
        kinds.append(("items of a batch do not influence each other",
                      lambda one, new: np.concatenate([one[:1], new[1:]])))
    if "h" in exam.way.layout and exam.form() == "core":
        r = case.q.shape[1] // case.k.shape[1]
        q, k, v = case.q.copy(), case.k.copy(), case.v.copy()
        q[:, r:], k[:, 1:], v[:, 1:] = 0.5 - q[:, r:], 0.5 - k[:, 1:], 0.5 - v[:, 1:]
        asked.append(case._replace(q=q, k=k, v=v))
        kinds.append(("heads do not influence each other",
                      lambda one, new: np.concatenate([one[:, :r], new[:, r:]], 1)))
    if exam.hints.get("causal") == "yes" and not exam.target.parameter("causal"):
        q, k, v = case.q.copy(), case.k.copy(), case.v.copy()
        for X in (k, v) + ((q,) if len(letters) == 1 else ()):
            X[..., -1, :] = 0.5 - X[..., -1, :]
        asked.append(case._replace(q=q, k=k, v=v))
        kinds.append(("the future does not matter", lambda one, new: np.concatenate(
            [one[..., :-1, :], new[..., -1:, :]], -2)))
    observed = exam.ask(asked)
    one = observed[0][1]
    if one is None:
        return
    size = max(np.abs(one).max(initial=0.0), 1.0)
    for (probe, expected), (given, got) in zip(kinds, observed[1:], strict=True):
        if got is None:
            exam.properties.append(Property(probe, None))
            continue
        want = expected(one, got)
        holds = got.shape == want.shape and np.abs(got - want).max(initial=0.0) <= size * (
            1e-9 if exam.way.dtype == "float64" else 1e-4)
        exam.properties.append(Property(probe, bool(holds), {} if holds else counterexample(
            exam, given, got, want)))


# ---- gradients, caches, training ----


def train_stage(exam):
    """Dropout, where it can be switched on: its mean is what evaluation gives."""
    switch = exam.target.parameter("train")
    off = exam.target.parameter("eval")
    module = getattr(exam.patient.facts, "module", False)
    rate = exam.target.parameter("dropout")
    made = any(r == "dropout" for *_, r in exam.target_made())
    if exam.model is None or exam.model.mistakes or exam.form() == "block":
        return
    if not (rate or made) or not (switch or off or module or rate):
        return
    case = exam.case("train", "it is training, with dropout", Tq=24, Tk=24, B=4, seed=90)
    extra = dict(exam.way.others)
    if switch:
        extra[switch] = ("value", True)
    if off:
        extra[off] = ("value", False)
    if rate:
        extra[rate] = ("value", 0.4)
    rng = exam.target.parameter("rng")
    runs = []
    for seed in range(60):
        if rng:
            extra[rng] = ("rng", seed)
        way = exam.way._replace(others=tuple(extra.items()), mask=(), causal="")
        runs.append(exam.patient.spec(way, case, train=True, seed=seed))
    got = []
    for reply in exam.patient.call(runs):
        out = None if reply.error else dict(reply.out).get(exam.way.out)
        Y = None if out is None else cases.inward(out, exam.way.layout, case.q.ndim)
        if Y is None:
            return
        got.append(Y)
    want = fit.predict(exam.model, case)[0]
    got = np.stack(got)
    if np.abs(got - got[0]).max() == 0.0:
        if np.abs(got[0] - want).max() > 1e-9:
            exam.properties.append(Property("dropout keeps the mean", None))
        return
    off = (got.mean(0) * want).sum() / (want * want).sum()
    spread = ((got * want).sum(tuple(range(1, got.ndim))) / (want * want).sum()).std() / np.sqrt(60)
    holds = abs(off - 1) < max(0.06, 5 * spread)
    exam.properties.append(Property("dropout keeps the mean", bool(holds), {} if holds else {
        "case": "60 calls in training, their mean against evaluation", "inputs": {},
        "got": round(float(off), 3), "expected": 1.0}))
    if not holds:
        exam.said(f"Dropout changes the mean of the output by the factor {off:.3g}: what is kept "
                  "must be divided by 1 − p.", *exam.patient.line(r"drop|rand|binomial|bernoulli"))


def cache_stage(exam):
    """Step by step with a cache against all at once."""
    way, model = exam.way, exam.model
    stepper = exam.stepper()
    if not stepper or [letter for _, letter in way.inputs] != ["q"]:
        return
    if exam.hints.get("causal") == "no" or exam.form() == "core":
        return
    case = exam.case("cache", "chunks follow each other with a cache", Tq=6, seed=120, B=2)
    chunkings = ((1,) * 6, (3, 1, 2), (2, 3, 1))
    if exam.alone:
        chunkings = chunkings[:1]
    got = [exam.chunks(case, chunks, stepper) for chunks in chunkings]
    if got[0][0] is None:
        exam.conventions.append(f"the cache is not examined: {got[0][1]}")
        return
    probe = "step by step with a cache equals all at once"
    if model is None:
        _, want = exam.ask([case])[0]
        right = want
    else:
        right = chunked(mistaken(*model.mistakes), model, case, (6,))
    bad = [(chunks, Y, why) for chunks, (Y, why) in zip(chunkings, got, strict=True)
           if Y is None or right is None or fit.gap(Y, right) > 1e-9]
    if not bad:
        exam.properties.append(Property(probe, None if model is None else True))
        return
    chunks, Y, why = bad[0]
    example = counterexample(exam, case, Y, right)
    example["case"] = f"chunks of {', '.join(map(str, chunks))} tokens with a cache"
    exam.properties.append(Property(probe, False, example))
    found = []
    if model is not None and all(Y is not None for Y, _ in got):
        for name in STEPS:
            try:
                space = mistaken(*model.mistakes, f"cache: {name}")
                made = [chunked(space, model, case, c) for c in chunkings]
            except (EditError, ValueError):
                continue
            if all(fit.gap(Y, made[i]) <= 1e-9 for i, (Y, _) in enumerate(got)):
                found.append(name)
    if found:
        for name in found[:2]:
            exam.name_mistake(f"cache: {name}", len(found) == 1)
        return
    if why:
        exam.said(f"With a cache {why}.", 0, "")
    elif fit.gap(got[0][0], right) <= 1e-9:
        exam.said("With a cache single tokens are right and chunks of several tokens are not: the "
                  "causal mask of a chunk does not fit the cache.",
                  *exam.patient.line(r"tril|triu|tri\(|mask"))
    else:
        exam.said("Step by step with a cache is not what comes out all at once.",
                  *exam.patient.line(r"cache|past|cat"))


def chunked(space, model, case, chunks):
    """What the reference gives in chunks."""
    outs, past, start = [], None, 0
    with np.errstate(all="ignore"):
        for n in chunks:
            Y, past = space["step"](case.q[:, start : start + n], past, model.W, model.c)
            outs.append(Y)
            start += n
    return np.concatenate(outs, 1)


STAGES = (sizes_stage, repeat_stage, scores_stage, mask_stage, causal_stage, cache_stage,
          property_stage, dtype_stage, train_stage)
