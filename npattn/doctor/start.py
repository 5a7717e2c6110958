"""The beginning of an examination: a way to call the code, and the model that it follows."""

import contextlib
import re

from npattn.doctor import fit
from npattn.doctor.calling import target
from npattn.doctor.examine import Property
from npattn.doctor.models import rotaries
from npattn.doctor.repair import mended
from npattn.doctor.search import choose, search, settle
from npattn.doctor.ways import tries
from npattn.doctor.whole import bare
from npattn.strangers import Trouble


def start(exam):
    """Find a way to call and the model. Raises Trouble if no call comes back."""
    exam.target = target(exam.patient, exam.hints)
    unregistered(exam)
    packed = may_pack(exam) and side_by_side(exam)
    if packed and (not noisy(exam, packed) and choose(exam, packed)):
        return
    exam.packed = False
    exam.troubles.clear()
    try:
        tried = tries(exam)
    except Trouble:
        if packed_search(exam, packed) or bare(exam):
            return
        tried = heads_apart(exam)
        if not tried:
            raise
    if noisy(exam, tried) or found_with_all(exam, tried):
        return
    if exam.patient.facts.kind != "function" and exam.target.weights:
        if as_built(exam):
            return
        exam.target = target(exam.patient, exam.hints)
        tried = tries(exam)
    exam.packed = bool(packed)
    if packed and search(exam, packed):
        return
    exam.packed = False
    if exam.evidence and mended(exam, exam.evidence[0]):
        return
    if not search(exam, tried, True):
        packed_search(exam, packed)


def unregistered(exam):
    """Name modules that a module keeps in a list or dict of Python."""
    for name in exam.patient.unregistered:
        exam.said(f"The modules of `{name}` are kept in a plain list or dict: they are no part of "
                  "the module, so that their weights are not trained, saved or moved; use "
                  "nn.ModuleList or nn.ModuleDict.", *exam.patient.line(rf"self\.{name}\b.*="))


def found_with_all(exam, tried):
    """Whether a model, or a mistake in it, gives the outputs: with all inputs, then with fewer."""
    full = [t for t in tried if t[0].inputs == tried[0][0].inputs]
    if choose(exam, full) or choose(exam, with_tables(exam, full)):
        return True
    if len(full) < len(tried):  # a context, say, that may be left out: it must be right, too
        if search(exam, with_tables(exam, full) or full):
            return True
        rest = [t for t in tried if t not in full]
        if choose(exam, rest) or choose(exam, with_tables(exam, rest)):
            named = [p for p, _ in tried[0][0].inputs if p not in dict(exam.way.inputs)]
            exam.partly = f"with {', '.join(named)} its outputs are those of no attention"
            return True
    if search(exam, with_tables(exam, tried) or tried):
        return True
    return not with_tables(exam, tried) and bool(search(exam, with_tables(exam, tried, True)))


def may_pack(exam):
    """Whether heads may stand side by side in the features of a token."""
    heads = exam.hints.get("heads") or exam.target.parameter("heads")
    return bool(heads and exam.form() == "core" and exam.patient.facts.kind == "function"
                and "h" not in exam.hints.get("layout", "")) and exam.target.sizes.heads > 1


def heads_apart(exam):
    """Tries with weights whose heads have an axis of their own, or with keys given transposed.

    [] if no call comes back.
    """
    kept, names = exam.troubles, {name for name, _ in exam.target.others}
    for axes in ("hdk", "dhk") if exam.patient.facts.kind == "function" and names else ():
        exam.patient.apart, exam.troubles = axes, []
        exam.target = target(exam.patient, exam.hints)
        with contextlib.suppress(Trouble):
            return tries(exam)
    exam.patient.apart, exam.patient.turned, exam.troubles = "", exam.form() == "core", []
    exam.target = target(exam.patient, exam.hints)
    with contextlib.suppress(Trouble):
        found = tries(exam)
        line = next((reply.line for reply, _ in kept if reply.line), 0)
        exam.guess = ("The keys are not transposed where they meet the queries; the scores are "
                      f"Q Kᵀ. Most likely line {line}: `{exam.text(line)[:80]}`")
        exam.partly = ("it runs only where keys come transposed, (..., d, Tk), and is right then: "
                       "if they shall come so, call them K_T")
        return found
    exam.troubles, exam.patient.turned = kept, False
    return []


def side_by_side(exam):
    """Tries with heads side by side in the features of a token; [] if no call comes back."""
    exam.packed = True
    try:
        return tries(exam)
    except Trouble:
        return []


def packed_search(exam, packed):
    """A mistake of code that takes heads side by side; whether the code is of that kind."""
    exam.packed = bool(packed)
    if packed and not search(exam, packed):
        search(exam, packed, True)
    return exam.packed


def with_tables(exam, tried, wide=False):
    """The same, for code whose angles are kept in 32 bits; nothing where there are none.

    wide  for code that computes anything in 32 bits, too
    """
    known = any(turn["rotary"] for turn in rotaries(exam)) or re.search(
        r"slope|alibi|torch\.tensor\(" + r"|\.float\(|float32" * wide, exam.patient.text)
    if not exam.target.torch or not known:
        return []
    return [(way._replace(dtype="tables"), *rest) for way, *rest in tried
            if way.dtype == "float64"]


def as_built(exam):
    """Whether it is right with the weights that it was built with; then biases are tried."""
    exam.target = target(exam.patient, exam.hints, plain="all")
    if exam.form() == "block" or not choose(exam, tries(exam)):
        return False  # of a block gains of 1 and shifts of 0 say too little
    exam.conventions.append("examined with the weights that it was built with")
    exam.target = target(exam.patient, exam.hints, plain="biases")
    tried = tries(exam)
    if choose(exam, tried) or search(exam, tried):
        return True
    case, got = tried[0][1:3]
    exam.properties.append(Property("biases act where they should", False, {
        "case": "biases are not 0", "inputs": {}, "got": got.ravel()[:8].tolist(),
        "expected": fit.predict(exam.model, case)[0].ravel()[:8].tolist()
        if exam.model else None}))
    exam.said("It is right with the numbers that it was built with, and wrong where biases are "
              "not 0.", *exam.patient.line(r"bias|\bb[qkvo]?\b"))
    return True


def noisy(exam, tried):
    """Whether the same call gives another output: then nothing can be compared."""
    way, case, got, sizes = tried[0]
    settle(exam, way, None, sizes, tried)
    found = [Y for _, Y in exam.ask([case._replace(options={"seed": s}) for s in (3, 4)])]
    if any(Y is None or Y.shape != got.shape for Y in found):
        return False
    if fit.gap(found[0], found[1]) == 0.0 and fit.gap(found[0], got) <= 1e-9:
        exam.way = None
        exam.plain_sizes = {}
        return False
    return not kept_state(exam, tried, case)


def kept_state(exam, tried, case):
    """Whether fresh copies of the object give one output; then each call gets a fresh one."""
    if not exam.target.object or re.search(r"\brng\b|\.random\(|binomial|dropout|bernoulli",
                                           exam.patient.after_making(), re.IGNORECASE):
        return False
    exam.way = exam.way._replace(fresh=True)
    one, two = [Y for _, Y in exam.ask([case, case._replace(options={"seed": 3})])]
    if one is None or two is None or fit.gap(one, two):
        return False
    tried[:] = [(way._replace(fresh=True), c, one if way.out == exam.way.out
                 and way.layout == exam.way.layout else got, sizes)
                for way, c, got, sizes in tried]
    exam.way, exam.plain_sizes = None, {}
    return True
