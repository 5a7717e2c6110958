"""Which change of the code itself makes it right: the line of a mistake, whatever it is.

A stage that finds a difference leaves `Evidence`: the calls, and what must come back. All slips of
the file are then tried on these calls. One that makes all of them right names the line, what stands
there and what should, also where no catalogue knows the mistake.
"""

import contextlib
import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from npattn.doctor import cases, fit
from npattn.doctor.slips import harmless, slips
from npattn.strangers import Trouble

BATCH = 16
MOST = {"numpy": 1000, "torch": 400}  # changes that one search tries
SECONDS = {"numpy": 2.5, "torch": 5.0}  # of the processor, where each change takes long
ENOUGH = 4  # repairs that are looked at


REMOVES = re.compile(r"does not belong|too much|left out|adds up|the whole is meant|outside|copy|"
                     "the number is wrong")


class Evidence(NamedTuple):
    """Calls that go wrong, and how one sees that they go right."""

    specs: list
    fine: object  # of a list of replies, or of its beginning: whether they are right
    first: int    # calls that are enough to sort most out
    at: int       # mistakes that were known before
    names: tuple = ()  # other functions of the file that take part
    within: str = ""   # pattern: functions in which the mistake likely is


def note(exam, specs, fine, first=1, names=(), within=""):
    """Keep what a stage found wrong."""
    exam.evidence.append(Evidence(list(specs), fine, first, len(exam.mistakes), tuple(names),
                                  within))


def note_cases(exam, asked, models, **extra):
    """The same, for cases whose outputs must be those of one of the models."""
    way, loose = exam.way, exam.loose
    specs = [exam.patient.spec(way, case, **extra) for case in asked]
    models, near = list(models), [fit.tolerance(case, way.dtype) * loose for case in asked]

    @lru_cache(maxsize=None)
    def wanted(m, i):
        """(output, entries that are asked for) of a model in a case; None if it has none."""
        try:
            want = fit.predict(models[m], asked[i])[0]
        except fit.Failed:
            return None
        return want, fit.rows(asked[i], models[m], want)

    def fine(replies):
        seen = [cases.received(reply, way, case) for case, reply in zip(
            asked, replies, strict=False)]
        return all(got is not None for got in seen) and any(
            all(wanted(m, i) and fit.gap(got, *wanted(m, i)) <= near[i]
                for i, got in enumerate(seen)) for m in range(len(models)))

    note(exam, specs, fine)


def repair_stage(exam):
    """Look for the change that makes right what was found wrong first, and tell it."""
    if not exam.repaired:
        any(mended(exam, evidence) for evidence in exam.evidence[:2])
    if exam.repaired:
        tell(exam, *exam.repaired)


def mended(exam, evidence):
    """Whether a change of the code makes all calls of the evidence right; it is kept."""
    if not harmless(exam.patient.text, exam.patient.tree):
        return False
    found = repairs(exam, evidence)
    if found:
        exam.repaired = found[0], evidence
    return bool(found)


def repairs(exam, evidence):
    """[Slip, …] that make all calls of the evidence right, the likely ones first."""
    patient, found = exam.patient, []
    known = any(m["name"] and m["certain"] for m in exam.mistakes)  # then the line alone is sought
    kind = "torch" if patient.uses_torch else "numpy"
    until = patient.tried + MOST[kind] // (2 if known else 1)
    late = patient.busy + SECONDS[kind]
    waiting = slips(patient.text, [patient.name, *evidence.names])
    if evidence.within:
        likely = patient.lines_of(evidence.within)
        waiting.sort(key=lambda slip: slip.line not in likely)
    few, whole = evidence.specs[: evidence.first], evidence.specs
    with contextlib.suppress(Trouble):  # a change may end the process: what was found so far counts
        while waiting and len(found) < ENOUGH and patient.tried < until and patient.busy < late:
            batch, waiting = waiting[:BATCH], waiting[BATCH:]
            left = _right(patient, batch, few, evidence)
            if left and len(whole) > len(few):
                left = _right(patient, left, whole, evidence)
            found += left
    return sorted(found, key=lambda slip: slip.rank)


def _right(patient, batch, specs, evidence):
    texts = [slip.applied(patient.text) for slip in batch]
    with np.errstate(all="ignore"):  # changed code may return anything
        return [slip for slip, replies in zip(batch, patient.variants(texts, specs), strict=True)
                if len(replies) == len(specs) and evidence.fine(replies)]


def tell(exam, slip, evidence):
    """Put the line into the sentence of the first mistake that the evidence stands for."""
    said = f"{slip.sentence()} With that change it is right."
    if exam.model is None and not exam.mistakes and not any(
            p.holds is False for p in exam.properties):
        if REMOVES.search(slip.words):
            exam.guess = said  # what is too much may be a variant that the doctor does not know
            return
    later = [e.at for e in exam.evidence if e.at > evidence.at]
    low, high = evidence.at, min(later, default=len(exam.mistakes))
    if low < high:
        mistake = exam.mistakes[low]
        known = mistake["sentence"].split(", in line")[0].rstrip(".")
        exam.mistakes[low] = mistake | {"sentence": f"{known}. {said}", "line": 0}
        return
    exam.mistakes.insert(low, {"name": "", "sentence": said, "line": 0, "text": "",
                               "certain": True})
