"""Step by step with a cache against all at once."""

import numpy as np

from npattn.doctor import fit
from npattn.doctor.catalogue import STEPS, mistaken
from npattn.doctor.comparing import counterexample
from npattn.doctor.examine import Property


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
           if Y is None or right is None or fit.gap(Y, right) > exam.near()]
    if not bad:
        exam.properties.append(Property(probe, None if model is None else True))
        return past_kept(exam, case, stepper)
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
            except Exception:  # mistakes that exclude each other
                continue
            if all(fit.gap(Y, made[i]) <= exam.near() for i, (Y, _) in enumerate(got)):
                found.append(name)
    if found:
        for name in found[:2]:
            exam.name_mistake(f"cache: {name}", len(found) == 1)
        return
    if why:
        exam.said(f"With a cache {why}.", 0, "")
    elif fit.gap(got[0][0], right) <= exam.near():
        exam.said("With a cache single tokens are right and chunks of several tokens are not: the "
                  "causal mask of a chunk does not fit the cache.",
                  *exam.patient.line(r"tril|triu|tri\(|mask"))
    else:
        exam.said("Step by step with a cache is not what comes out all at once.",
                  *exam.patient.line(r"cache|past|cat"))


def past_kept(exam, case, stepper):
    """Whether a cache that was handed to one call may be handed to another."""
    if stepper[0] != "argument":
        return
    one, two = (exam.chunks(case, (3, 1), stepper, times)[0] for times in (1, 2))
    if one is None or two is None:
        return
    same = fit.gap(one, two) <= exam.near()
    exam.properties.append(Property("a call does not write to its cache", same, {} if same else
                                    counterexample(exam, case, two, one)))
    if not same:
        exam.said("A call writes to the cache that it is given: the same cache gives something "
                  "else in the next call.", *exam.patient.line(r"append|\+=|extend|past|cache"))


def chunked(space, model, case, chunks):
    """What the reference gives in chunks."""
    outs, past, start = [], None, 0
    with np.errstate(all="ignore"):
        for n in chunks:
            Y, past = space["step"](case.q[:, start : start + n], past, model.W, model.c)
            outs.append(Y)
            start += n
    return np.concatenate(outs, 1)
