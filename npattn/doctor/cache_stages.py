"""Step by step with a cache against all at once."""

import numpy as np

from npattn.doctor import fit
from npattn.doctor.catalogue import STEPS, mistaken
from npattn.doctor.chunks import chunk_calls, in_chunks, side_by_side, stepper
from npattn.doctor.comparing import counterexample
from npattn.doctor.examine import Property
from npattn.doctor.repair import note


def cache_stage(exam):
    """Step by step with a cache against all at once."""
    way, model = exam.way, exam.model
    how = stepper(exam)
    if not how or [letter for _, letter in way.inputs] != ["q"]:
        return
    if exam.hints.get("causal") == "no" or exam.form() == "core":
        return
    case = exam.case("cache", "chunks follow each other with a cache", Tq=6, seed=120, B=2)
    chunkings = ((1,) * 6, (3, 1, 2), (2, 3, 1))
    if exam.alone:
        chunkings = chunkings[:1]
    got = [in_chunks(exam, case, chunks, how) for chunks in chunkings]
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
        return past_kept(exam, case, how)
    chunks, Y, why = bad[0]
    example = counterexample(exam, case, Y, right)
    example["case"] = f"chunks of {', '.join(map(str, chunks))} tokens with a cache"
    exam.properties.append(Property(probe, False, example))
    note_chunks(exam, case, [chunks for chunks, *_ in bad], how, right)
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


def note_chunks(exam, case, chunkings, how, right):
    """Keep as evidence that chunks with a cache are not what comes out all at once."""
    calls = [chunk_calls(exam, case, chunks, how) for chunks in chunkings]

    def fine(replies):
        start = 0
        for chunks, specs in zip(chunkings, calls, strict=True):
            Y, _ = side_by_side(exam, case, chunks, how, replies[start : start + len(specs)])
            if Y is None or fit.gap(Y, right) > exam.near():
                return False
            start += len(specs)
            if start == len(replies):
                return True
        return True

    if right is not None:
        note(exam, [spec for specs in calls for spec in specs], fine, len(calls[0]))


def past_kept(exam, case, how):
    """Whether a cache that was handed to one call may be handed to another."""
    if how[0] != "argument":
        return
    one, two = (in_chunks(exam, case, (3, 1), how, times)[0] for times in (1, 2))
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
