"""What is wrong with gradients: a mistake of the catalogue, a path that is lacking, or where."""

import itertools

import numpy as np

from npattn.doctor.catalogue import BACKWARD, mistaken
from npattn.doctor.comparing import counterexample
from npattn.doctor.differences import difference
from npattn.doctor.examine import Property
from npattn.doctor.gradient_truths import read, truth
from npattn.doctor.repair import note
from npattn.edits import EditError

PROBE = "gradients are those of the forward"
BACKWARDS = r"back|bwd|grad|vjp|jacobian|^d[A-Z_]"  # names of functions
PATHS = {"q": "queries", "k": "keys", "v": "values"}


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
