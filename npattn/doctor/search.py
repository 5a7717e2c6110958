"""The model that gives the outputs of plain calls: without a mistake, with one, with two."""

import re

import numpy as np

from npattn.doctor import fit
from npattn.doctor.making import RATE
from npattn.doctor.models import models
from npattn.doctor.repair import note_cases

FIRST, LATER, LEAST = 20_000, 12_000, 3_000  # candidates of one search
ALL = 30_000  # and of all together, beside the least
INFINITE = r"\* ?\(?-? ?(float\(|np\.inf|torch\.inf|math\.inf|inf\b|NEG)|inf|log|/"


def nan_reason(text):
    """What makes NaN in the code, where its source shows it."""
    if re.search(r"\* ?\(?-? ?(float\([\"']-?inf|(np|numpy|torch|math)\.inf|inf\b|NEG_?INF)|"
                 r"(inf[\"']?\)|\.inf) ?\*", text):
        return (": a mask of 0 and 1 is multiplied with −inf, and 0 · (−inf) is NaN; use where or "
                "masked_fill")
    if re.search(r"\blog\(", text):
        return ": a logarithm of 0, or infinity minus infinity"
    return ": 0/0, or infinity minus infinity"


def choose(exam, tried):
    """The first way and model, without a mistake, that give the outputs."""
    for way, case, got, sizes in tried:
        for model in models(exam, way.form):
            if fit.fits(model, [(case, got)], way.dtype):
                settle(exam, way, model, sizes, tried)
                return True
    return False


def settle(exam, way, model, sizes, tried):
    """Keeps the way to call and the model that fit, and the sizes where they were found."""
    exam.way, exam.model, exam.plain_sizes = way, model, sizes
    if way.dtype == "tables":
        exam.conventions.append("computes in 32 bits in part (angles of positions, say)")
    if sizes.get("dv"):
        exam.dv = sizes["dv"]
    exam.tried = tried


def search(exam, tried, pairs=False):
    """A way and a model with one mistake, or with two; whether there is one."""
    if not tried:
        return False
    exam.tried = tried
    if no_numbers(exam, *tried[0]):
        return True
    for way, case, got, sizes in tried[: 1 if pairs else 4]:
        likely = list(models(exam, way.form))
        if not pairs and nearly(exam, way, likely, case, got, sizes, tried):
            return True
        names = fit.PLAIN if pairs else fit.PLAIN + fit.CAUSAL
        if way.layout != tried[0][0].layout:  # a guess and a mistake may be the same thing
            names = [n for n in names if n not in fit.ACROSS]
        if not re.search(r"\b(for|while)\b|scan|map", exam.patient.text):  # no loop, no tiles
            names = [n for n in names if ", tiles of " not in n]
        likely.sort(key=lambda m: len(m.notes) + m.c.heads_last)
        most = LATER if way is not tried[0][0] else FIRST
        budget = fit.Budget(max(min(most, ALL - exam.searched), LEAST))
        found = fit.explain(likely[:60], [(case, got)], names, way.dtype, pairs, budget)
        exam.searched += budget.spent
        if not found and not pairs:
            causal = [m for m in likely if m.causal][:24]
            found = fit.explain(causal, [(case, got)], fit.OF_THE_FUTURE, way.dtype)
        if found:
            found = sharpened(exam, found, way, sizes)
            if found[0].mistakes[-1] in fit.HARMLESS and len(found[0].mistakes) == 1:
                settle(exam, way, found[0]._replace(mistakes=()), sizes, tried)
                exam.way = way._replace(dtype="tables")  # as exact as it may be
                exam.conventions.append(f"{found[0].mistakes[0]} of the softmax: harmless")
                return True
            settle(exam, way, found[0], sizes, tried)
            unlike_plain(exam, way, [m._replace(mistakes=()) for m in found[:2]])
            exam.blame(found)
            return True
    way, case, got, sizes = tried[0]
    exam.way, exam.plain_sizes = way, sizes
    if not pairs:
        unlike_plain(exam, way, sorted(models(exam, way.form), key=lambda m: (
            len(m.notes) + m.c.heads_last))[:24])
    if sizes.get("dv"):
        exam.dv = sizes["dv"]
    return False


def unlike_plain(exam, way, likely):
    """Keep plain calls as evidence: their outputs are not those of any likely model."""
    sizes = {k: v for k, v in exam.plain_sizes.items() if k != "dv"}
    asked = [exam.case("again", "", seed=s, **sizes) for s in (3, 5)]
    if not sizes.get("Tq"):
        asked.append(exam.case("longer", "", seed=4, Tq=6, Tk=9, B=4))
    if way.form == "core":  # a change that loses the maximum is no repair
        asked.append(exam.case("large", "", seed=6, size=60.0, options={"loose": 1e5}, **sizes))
    note_cases(exam, asked, likely)


def no_numbers(exam, way, case, got, sizes):
    """Whether outputs of a plain call are NaN or infinite: then nothing else is looked for."""
    if np.isfinite(got).all():
        return False
    likely = [m for m in models(exam, way.form) if m.causal][:24]
    if blind := fit.explain(likely, [(case, got)], ["causal without itself"], way.dtype):
        settle(exam, way, blind[0], sizes, exam.tried)
        unlike_plain(exam, way, [m._replace(mistakes=()) for m in blind[:2]])
        exam.blame(blind)
        return True
    settle(exam, way, None, sizes, exam.tried)
    many = "All outputs are" if not np.isfinite(got).any() else "Some outputs are"
    exam.said(f"{many} NaN or infinite in a plain call{nan_reason(exam.patient.text)}.",
              *exam.patient.line(INFINITE))
    return True


def nearly(exam, way, models, case, got, sizes, tried):
    """Right but for a factor, or for the digits that 32 bits lose."""
    if way.dtype != "float64":
        return False
    for model in models[:40]:
        try:
            want = fit.predict(model, case)[0]
        except fit.Failed:
            continue
        if want.shape != got.shape or not np.isfinite(got).all():
            continue
        factor = float((got * want).sum() / max((want * want).sum(), 1e-300))
        if 1e-12 < abs(factor - 1) < 1.1e-6 and fit.gap(got, factor * want) < 1e-11:
            settle(exam, way, model, sizes, tried)
            exam.way = way._replace(dtype="tables")  # as exact as it may be
            exam.conventions.append(f"the weights sum to {factor:.9g}, which is harmless")
            return True
        bits = "16" if fit.gap(got, want) > 2e-6 else "32"
        most = 2e-2 if re.search(r"half|float16|\bf2\b", exam.patient.text) else 2e-6
        if 1e-9 < fit.gap(got, want) < most and not any(
                fit.fits(model._replace(mistakes=(name,)), [(case, got)])
                for name in fit.PLAIN if "32 bits" in name or "the sum" in name):
            settle(exam, way._replace(dtype="float64"), model, sizes, tried)
            exam.loose = 1e6 if bits == "32" else 1e10
            exam.said(f"It computes in {bits} bits (float{bits}), where its arguments have 64: "
                      "the precision of the dtype is lost.",
                      *exam.patient.line(r"float32|astype|dtype|\.float\(|half|float16"))
            return True
        if abs(factor - 1) > 1e-9 and factor and fit.gap(got, factor * want) < 1e-11:
            settle(exam, way, None, sizes, tried)
            why = (": the factor of dropout, 1/(1 − p) or 1 − p, is there in evaluation, too"
                   if min(abs(factor * (1 - RATE) - 1), abs(factor / (1 - RATE) - 1)) < 1e-9
                   and "drop" in exam.patient.text else "")
            exam.said(f"The output is {factor:.6g} times what it should be: the weights do not "
                      f"average, they sum to {factor:.6g}{why}.",
                      *exam.patient.line(r"1 ?- ?|drop|sum|scale"))
            return True
    return False


def sharpened(exam, found, way, sizes):
    """Those of several explanations that hold in a second call of other sizes."""
    if len(found) == 1:
        return found
    exam.way = way
    if sizes.get("dv"):
        exam.dv = sizes["dv"]
    more = [exam.case("again", "", seed=3, **{k: v for k, v in sizes.items() if k != "dv"})]
    if not sizes.get("Tq"):
        more.append(exam.case("longer", "", seed=4, Tq=6, Tk=9, B=4))
    for case, got in exam.ask(more):
        left = [m for m in found if fit.fits(m, [(case, got)], way.dtype)]
        found = left or found
    return found
