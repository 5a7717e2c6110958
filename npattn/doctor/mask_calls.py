"""Two masks in one call, and what a call with a mask leaves behind for the next one."""

import itertools
import re

import numpy as np

from npattn.doctor import cases, fit
from npattn.doctor.comparing import KEEPS, counterexample, refuses
from npattn.doctor.examine import Property
from npattn.doctor.repair import note

TOGETHER = "two masks hold together"
JOINS = (
    (np.logical_or, "`{0}` and `{1}` are joined by or; a key must be allowed by both masks."),
    (lambda a, b: a, "Where `{0}` and `{1}` are both given, the second mask `{1}` is ignored; a "
                     "key must be allowed by both."),
    (lambda a, b: b, "Where `{0}` and `{1}` are both given, the first mask `{0}` is lost; a key "
                     "must be allowed by both."))


def together_stage(exam):
    """Two masks in one call: a key must be allowed by both."""
    if exam.model is None or exam.model.mistakes or exam.mistakes:
        return
    for one, two in itertools.combinations(exam.masks_found, 2):
        seen = both_given(exam, one, two)
        if seen is None:
            return
        if joined(exam, seen, np.logical_and):
            exam.properties.append(Property(TOGETHER, True))
            continue
        case, got, keeps = seen[0]
        want = fit.predict(exam.model, case._replace(keep=np.logical_and(*keeps)))[0]
        exam.properties.append(Property(TOGETHER, False, counterexample(exam, case, got, want)))
        said = next((words for join, words in JOINS if joined(exam, seen, join)),
                    "`{0}` and `{1}` do not hold together; a key must be allowed by both.")
        exam.said(said.format(one[0], two[0]),
                  *exam.patient.line(r"mask|where|masked_fill|\||or\b"))


def both_given(exam, one, two):
    """[(case, output, both masks), …]; None if the call fails."""
    asked, specs = [], []
    for seed in (0, 1, 2):
        case = exam.case("two", f"{one[0]} and {two[0]} are both given", seed=47 + seed)
        first, second = exam.masked(case, one[1], seed), exam.masked(case, two[1], 7 + seed)
        way = exam.way._replace(mask=one, others=(*exam.way.others, (two[0], cases.written(
            second.keep, *two[1:]))))
        asked.append((case, (first.keep, second.keep)))
        specs.append(exam.patient.spec(way, first))
    seen = []
    for (case, keeps), reply in zip(asked, exam.patient.call(specs), strict=True):
        got = cases.received(reply, exam.way, case)
        if got is None:
            if not refuses(reply):
                exam.said(f"It fails where {case.words}: {reply.error}"
                          f"{exam.patient.place({'line': reply.line})}.", reply.line)
            return None
        seen.append((case, got, keeps))

    def fine(replies):
        return all(fit.fits(exam.model, [(case._replace(keep=np.logical_and(*keeps)),
                                          cases.received(reply, way, case))], way.dtype)
                   for (case, keeps), reply in zip(asked, replies, strict=False))

    if not joined(exam, seen, np.logical_and):
        note(exam, specs, fine)
    return seen


def joined(exam, seen, join):
    """Whether two masks act as one that `join` makes of them."""
    return fit.fits(exam.model, [(case._replace(keep=join(*keeps)), got)
                                 for case, got, keeps in seen], exam.way.dtype)


def leftover_stage(exam):
    """A call without a mask after one with it."""
    required = {name for name, _, need, _ in exam.target.parameters if need}
    if exam.model is None or exam.model.mistakes or exam.mistakes or exam.forced:
        return
    way = exam.way._replace(mask=(), causal="", fresh=False)
    for mask in [m for m in exam.masks_found if m[0] not in required]:
        case = exam.case("left", f"a call without `{mask[0]}` follows one with it", seed=48)
        asked = [case, exam.masked(case, mask[1], 3), case]
        specs = [exam.patient.spec(way._replace(mask=mask), c) for c in asked]
        if way.object:
            exam.patient.ask(("pristine", way.object))
        replies = exam.patient.call(specs)
        first, last = (cases.received(r, way, case) for r in (replies[0], replies[2]))
        if way.object:
            exam.patient.ask(("pristine", way.object))
        if first is None or replies[1].error:
            continue

        def fine(replies, asked=asked):
            return fit.fits(exam.model, [(c, cases.received(r, way, c)) for c, r in zip(
                asked, replies, strict=True)], way.dtype)

        if not fine(replies):
            exam.properties.append(Property("each call uses its own mask", False, counterexample(
                exam, case, last, first)))
            note(exam, specs, fine, len(specs))
            exam.said(f"The mask of an earlier call is kept: a call without `{mask[0]}` still uses "
                      "it (stale state that is not reset).", *exam.patient.line(
                          r"self\.\w*mask\w* ?=|global|" + KEEPS))
            return


def kept_mask(exam, name, options):
    """Whether a mask is right where nothing was called before: then that of a call is kept."""
    if exam.model is None or not re.search(KEEPS + r"|self\.\w+ is None",
                                           exam.patient.after_making()):
        return False
    way = exam.way
    for form, how in sorted(options, key=lambda o: cases.WHOLE.index(o[1]))[:16]:
        exam.way = way._replace(mask=(name, form, how))
        asked = [exam.masked(exam.case("mask", "there is another mask than in the call before",
                                       seed=40 + s), form, s) for s in (0, 1)]
        if not fit.fits(exam.model, exam.pristine(asked[:1]), way.dtype) or not fit.fits(
                exam.model, (seen := exam.pristine(asked[1:])), way.dtype):
            continue
        exam.patient.ask(("pristine", way.object))
        later = exam.ask(asked)
        if fit.fits(exam.model, later, way.dtype):
            continue
        exam.said(f"The mask of an earlier call is kept: with another `{name}` a second call still "
                  "uses the first one (stale state that is not reset).",
                  *exam.patient.line(r"is None|" + KEEPS))
        exam.properties.append(Property("each call uses its own mask", False, counterexample(
            exam, asked[1], later[1][1], seen[0][1])))
        return True
    exam.way = way
    return False
