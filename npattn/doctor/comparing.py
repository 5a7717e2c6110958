"""Cases against the model: what agrees, what differs, and a counterexample of what does."""

import ast
import re

import numpy as np

from npattn.doctor import cases, fit
from npattn.doctor.differences import difference
from npattn.doctor.examine import Property
from npattn.doctor.repair import note_cases


def shown(X, most=400):
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
        inputs[parameter] = shown(cases.outward(getattr(case, letter), way.axes(letter)))
    if way.mask and case.keep is not None:
        inputs[way.mask[0]] = shown(cases.written(
            case.keep, case.form, way.mask[2], case.bias)[1])
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
    if exam.model is None:
        return None
    right = right or exam.model._replace(mistakes=())
    pairs = list(zip(observed, exam.replies, strict=True))
    returned_weights(exam, pairs)
    exam.written |= {name for _, r in pairs for name in r.wrote}
    if soft:
        exam.conventions += [f"refuses {case.words}: {r.error}" for (case, _), r in pairs
                             if refuses(r)]
        pairs = [pair for pair in pairs if not refuses(pair[1])]
    bad = differing(exam, pairs)
    if not bad:
        exam.properties.append(Property(probe, None if exam.model.mistakes or not pairs else True))
        return True
    if fresh(exam, bad, probe):
        return False
    observed = [o for o, _ in pairs]
    found = fit.explain([exam.model], observed, names, exam.way.dtype) if names else []
    if harmless := [m for m in found if m.mistakes[-1] in fit.HARMLESS]:
        exam.model = harmless[0]
        exam.conventions.append(f"{harmless[0].mistakes[-1]} of the softmax: harmless")
        exam.properties.append(Property(probe, True))
        return True
    blamed(exam, probe, bad, observed, right, found, extra)
    return False


def differing(exam, pairs):
    """[(case, output, reply), …] of what is not the model's."""
    bad = []
    for (case, got), reply in pairs:
        far = fit.distance(exam.model, case, got)
        exam.compared += 1
        if not far <= fit.tolerance(case, exam.way.dtype) * exam.loose:
            bad.append((case, got, reply))
        elif not exam.model.mistakes:
            exam.worst = max(exam.worst, far)
    return bad


def blamed(exam, probe, bad, observed, right, found, extra):
    """Keep the smallest counterexample and the evidence, and say what is wrong."""
    case, got, reply = min(bad, key=lambda b: b[0].q.size + b[0].k.size)
    try:
        want = fit.predict(right, case)[0]
    except fit.Failed:
        want = None
    failing = [c for c, *_ in bad]
    note_cases(exam, failing + [c for c, _ in observed if all(c is not b for b in failing)],
               [right], **extra)
    example = counterexample(exam, case, got, want)
    if got is None:
        example["got"] = reply.error or "an output of another shape"
        example["line"] = reply.line
    exam.properties.append(Property(probe, False, example))
    if found:
        exam.blame(found)
        exam.model = found[0]
    else:
        described(exam, case, got, reply, want, right)


def described(exam, case, got, reply, want, right):
    """A sentence on a difference that no mistake of the catalogue explains."""
    if got is not None:
        rows = None if want is None else fit.rows(case, right, want)
        told = "" if want is None or rows.shape != got.shape else difference(
            np.where(rows, got, 0.0), np.where(rows, want, 0.0))
        exam.said(f"It is wrong where {case.words}{f': {told}' * bool(told)}.")
    elif reply.error:
        exam.said(f"It fails where {case.words}: {reply.error}"
                  f"{exam.patient.place({'line': reply.line})}.", reply.line)
    elif reply.out:
        shape = dict(reply.out).get(exam.way.out, reply.out[0][1]).shape
        whole = "" if want is None else f" in place of {cases.outward(want, exam.way.layout).shape}"
        exam.said(f"Where {case.words}, the output has the shape {shape}{whole}: an axis is lost.",
                  *exam.patient.line(r"squeeze|reshape|view|flatten|\[0\]|mean|sum"))


KEPT = ("What a call returns depends on the calls before it: something is kept between calls "
        "(state that is not reset).")
KEEPS = r"not in \w+:|" \
        r"self\.\w+ ?[-+*/]?= .*(cat|stack|append|self\.)|global|cache|append|self\.\w+ ?[-+*/]="


def fresh(exam, bad, probe):
    """Whether what is bad is good where nothing was called before; then that is the mistake."""
    if exam.model.mistakes:
        return False
    replies = exam.replies
    seen = exam.pristine([case for case, *_ in bad[:2]])
    exam.replies = replies
    if not fit.fits(exam.model, seen, exam.way.dtype):
        return False
    case, got, reply = bad[0]
    example = counterexample(exam, case, got, seen[0][1])
    if got is None:
        example["got"] = reply.error
    exam.said(KEPT, *exam.patient.line(KEEPS))
    exam.properties.append(Property(probe, False, example))
    return True


def returned_weights(exam, pairs):
    """Whether weights that come back beside the output are those that made it."""
    for (case, got), reply in pairs:
        if got is None or exam.model.mistakes or not fit.fits(
                exam.model, [(case, got)], exam.way.dtype):
            continue
        try:
            P = fit.predict(exam.model, case)[1]
        except fit.Failed:
            continue
        for path, X in reply.out:
            if path == exam.way.out or X.dtype.kind != "f" or X.shape[-2:] != P.shape[-2:]:
                continue
            means = [P, P.mean(1), P[0], P[:, 0], P[0, 0], P.max(1)]
            same = [Q for Q in means if Q.shape == X.shape]
            if same and scores_for_weights(exam, path, X, same[0]):
                return
            sums = X.sum(-1)
            if len(path) > 1 and not re.search("weight|attn|prob", path[-1]):
                continue  # what a cache holds
            if X.ndim < 2 or not np.allclose(sums[np.isfinite(sums)], 1.0, atol=1e-6) or (
                    X[np.isfinite(X)] < 0).any():
                continue  # something else
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


def scores_for_weights(exam, path, X, P):
    """Whether something else than weights is returned under the name of weights; it is told."""
    name = returned_name(exam.patient, path)
    if not re.search("weight|attn|attention|prob", name) or re.search(
            "score|logit|raw|pre|un_?norm|log|bias|mask|out|context", name) or exam.mistakes:
        return False
    if not np.isfinite(X).all() or not (P > 0).all() or (
            np.allclose(X.sum(-1), 1.0, atol=1e-6) and (X >= 0).all()):
        return False
    words = ("the scores, before the softmax" if np.ptp(np.log(P) - X, -1).max() < 1e-6 else
             "no weights: their rows do not sum to 1")
    exam.said(f"What is returned as `{name}` are {words}; the output itself is right.",
              *exam.patient.line(r"return"))
    exam.properties.append(Property("returned weights are those of the output", False, {
        "inputs": {}, "got": shown(X), "expected": shown(P)}))
    return True


def returned_name(patient, path):
    """The name that a part of what is returned has in the code; ""."""
    if not path[-1].isdigit():
        return path[-1]
    ends = [n.value for n in ast.walk(patient.node()) if isinstance(n, ast.Return)
            and isinstance(n.value, ast.Tuple) and len(path) == 1]
    names = [ast.unparse(e.elts[int(path[0])]) for e in ends if int(path[0]) < len(e.elts)]
    return names[-1] if names and re.fullmatch(r"[\w.]+", names[-1]) else ""


def refuses(reply):
    """Whether the code itself refuses the call: an exception that it raises on purpose."""
    return reply.error.startswith(("ValueError", "AssertionError", "NotImplementedError")) and (
        reply.inside) and "broadcast" not in reply.error and "matmul" not in reply.error
