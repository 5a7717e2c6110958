"""Step by step with a cache against all at once."""

import numpy as np

from npattn.doctor import fit
from npattn.doctor.catalogue import STEPS, mistaken
from npattn.doctor.chunks import chunk_calls, in_chunks, resetting, side_by_side, stepper
from npattn.doctor.comparing import counterexample
from npattn.doctor.differences import difference
from npattn.doctor.examine import Property
from npattn.doctor.repair import note
from npattn.edits import EditError


PROBE = "step by step with a cache equals all at once"


def cache_stage(exam):
    """Step by step with a cache against all at once."""
    how = stepper(exam)
    if not how or [letter for _, letter in exam.way.inputs] != ["q"]:
        return
    if exam.hints.get("causal") == "no" or exam.form() == "core":
        return
    window = exam.model.c.window if exam.model is not None else 0
    more = min(window, 16) if window else 0  # longer than a window, so that the cache is cut
    case = exam.case("cache", "chunks follow each other with a cache", Tq=6 + more, seed=120, B=2)
    chunkings = ((1,) * (6 + more), (3, 1, 2) + (more,) * bool(more), (2 + more, 3, 1))
    chunkings = chunkings[: 1 if exam.alone else 3]
    got = [in_chunks(exam, case, chunks, how) for chunks in chunkings]
    if got[0][0] is None:
        exam.conventions.append(f"the cache is not examined: {got[0][1]}")
        return
    if exam.model is None:
        (_, right), = exam.ask([case])
    else:
        right = chunked(mistaken(*exam.model.mistakes), exam.model, case, (6 + more,))
    bad = [(chunks, Y, why) for chunks, (Y, why) in zip(chunkings, got, strict=True)
           if Y is None or right is None or fit.gap(Y, right) > exam.near()]
    if not bad:
        exam.properties.append(Property(PROBE, None if exam.model is None else True))
        return past_kept(exam, case, how)
    chunks, Y, _ = bad[0]
    example = counterexample(exam, case, Y, right)
    example["case"] = f"chunks of {', '.join(map(str, chunks))} tokens with a cache"
    exam.properties.append(Property(PROBE, False, example))
    note_chunks(exam, case, [chunks for chunks, *_ in bad], how, right)
    explain_chunks(exam, case, chunkings, [Y for Y, _ in got], right, bad[0])


def explain_chunks(exam, case, chunkings, outputs, right, bad):
    """The mistake of the cache that gives the outputs of all chunks, or what is wrong with them."""
    found = []
    for name in STEPS if exam.model is not None and all(Y is not None for Y in outputs) else ():
        try:
            space = mistaken(*exam.model.mistakes, f"cache: {name}")
            made = [chunked(space, exam.model, case, c) for c in chunkings]
        except (EditError, ValueError, IndexError):  # mistakes that exclude each other, or shapes
            continue
        if all(fit.gap(Y, Z) <= exam.near() for Y, Z in zip(outputs, made, strict=True)):
            found.append(name)
    for name in found[:2]:
        exam.name_mistake(f"cache: {name}", len(found) == 1)
    if not found and exam.model is not None and all(Y is not None for Y in outputs):
        found = of_the_layer(exam, case, chunkings, outputs)
    if not found:
        describe_chunks(exam, *bad, outputs[0], right)


def of_the_layer(exam, case, chunkings, outputs):
    """A mistake of the layer itself that is there step by step alone; it is named."""
    found = []
    names = [n for n in fit.PLAIN if ", tiles of " not in n]
    for name in fit.possible(exam.model, names):
        try:
            space = mistaken(*exam.model.mistakes, name)
            made = [chunked(space, exam.model, case, c) for c in chunkings]
        except Exception:  # an edited source may raise anything: it is no explanation then
            continue
        if all(fit.gap(Y, Z) <= exam.near() for Y, Z in zip(outputs, made, strict=True)):
            found.append(name)
    for name in found[:2]:
        exam.name_mistake(name, len(found) == 1)
        words = exam.mistakes[-1]["sentence"]
        exam.mistakes[-1]["sentence"] = f"Step by step with a cache: {words}"
    return found


def describe_chunks(exam, chunks, Y, why, single, right):
    """A sentence on chunks that no mistake of the catalogue explains. single: of single tokens."""
    if why:
        exam.said(f"With a cache {why}.", 0, "")
    elif fit.gap(single, right) <= exam.near():
        exam.said("With a cache single tokens are right and chunks of several tokens are not: the "
                  "causal mask of a chunk does not fit the cache.",
                  *exam.patient.line(r"tril|triu|tri\(|mask"))
    else:
        told = difference(Y, right)
        exam.said("Step by step with a cache is not what comes out all at once: chunks of "
                  f"{', '.join(map(str, chunks))} tokens are wrong{f' ({told})' * bool(told)}.",
                  *exam.patient.line(r"cache|past|cat"))


def note_chunks(exam, case, chunkings, how, right):
    """Keep as evidence that chunks with a cache are not what comes out all at once."""
    if how[0] == "switch" and not resetting(exam):  # the next chunks would go on
        chunkings = chunkings[-1:]
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
