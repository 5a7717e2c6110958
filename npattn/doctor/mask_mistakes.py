"""What is wrong with a mask: a mistake of the catalogue, another item's mask, or no mask at all."""

import numpy as np

from npattn.doctor import cases, fit
from npattn.doctor.comparing import counterexample
from npattn.doctor.differences import difference
from npattn.doctor.examine import Property
from npattn.doctor.repair import note
from npattn.doctor.ways import hows

MASKS = r"mask|where|masked_fill|tril|triu"  # lines of a file that likely mask
OTHER_FORMS = ("one key too many", "one key too few", "keys before the length",
               "last key never masked", "first key never masked", "mask of the first query",
               "mask for the first head alone", "mask for the first item alone", "masks tiled",
               "masked scores 0", "masked weights 0", "masked values 0")
FIRSTS = ("mask of the first item", "mask of the first query", "mask of the first head")
JOINED = (("any", "A key that is masked in one item of the batch is masked in all of them"),
          ("all", "A key that is allowed in one item of the batch is allowed in all of them"))


def ordered(ran):
    """Options that come back, the likely ones first."""
    return sorted(ran, key=lambda r: (cases.WHOLE.index(r[1]), "b" not in r[0]))


def names_for(exam, name):
    """Mistakes of the catalogue that a mask may have."""
    names = fit.MASKING + [n for n in fit.PLAIN if "softmax" in n or "maximum" in n]
    if "mask" not in exam.hints and len({h[0] for h in hows(exam, "mask", name)}) > 1:
        names = [n for n in names if n != "mask inverted"] + ["mask inverted"]
    return names


def explained(exam, name, ran, sizes, names):
    """Whether one mistake gives the outputs in one of the conventions; it is named."""
    for form, how, observed in ordered(ran):
        found = fit.explain([exam.model], observed, names, exam.way.dtype)
        if found:
            exam.way = exam.way._replace(mask=(name, form, how))
            more = [exam.masked(exam.case("mask", "", seed=60 + s, size=z), form, 9 + s)
                    for s, z in ((0, 1.0), (1, 2.0))] if sizes is None else []
            seen = exam.ask(more)
            left = [m for m in found if fit.fits(m, seen, exam.way.dtype)]
            exam.blame(left or found)
            case, got = observed[0]
            want = fit.predict(exam.model._replace(mistakes=()), case)[0]
            exam.properties.append(Property("a masked key does not matter", False,
                                            counterexample(exam, case, got, want)))
            return True
    return False


def added(exam, name, ran):
    """Whether a mistake with additive masks of ordinary numbers explains it."""
    for form, how, observed in [r for r in ran if r[1][0] == "add"][:2]:
        exam.way = exam.way._replace(mask=(name, form, how))
        asked = [case._replace(keep=np.ones_like(case.keep), bias=np.round(
            np.random.default_rng(i).standard_normal(case.keep.shape), 1))
            for i, (case, _) in enumerate(observed)]
        seen = exam.ask(asked)
        if any(Y is None for _, Y in seen):
            continue
        found = fit.explain([exam.model], seen, fit.BIAS, exam.way.dtype)
        if found and found[0].mistakes[-1] != "bias ignored":
            exam.blame(found)
            case, got = seen[0]
            exam.properties.append(Property(
                "a float mask is added to the scores", False, counterexample(
                    exam, case, got, fit.predict(exam.model._replace(mistakes=()), case)[0])))
            return True
    return False


def first_for_all(exam, name, ran, good):
    """Whether a mask of another form is taken, too, and is wrong there.

    Such as one with an axis for the batch, where that of the first item is used.
    """
    way, fine = exam.way, {form for form, _ in good}
    for form, how, observed in ran:
        if form in fine or how != good[0][1]:
            continue
        names = OTHER_FORMS if form.startswith("lens") or any("b" in f for f in fine) else (
            *OTHER_FORMS, *FIRSTS) if "b" in form else ()
        if found := fit.explain([exam.model], observed, names, way.dtype):
            exam.way = way._replace(mask=(name, form, how))
            exam.blame(found)
            case, got = observed[0]
            exam.properties.append(Property("each item has its own mask", False, counterexample(
                exam, case, got, fit.predict(exam.model, case)[0])))
            return True
        if "b" in form and not any("b" in f for f in fine) and others_matter(
                exam, name, form, how):
            return True
    return False


def others_matter(exam, name, form, how):
    """Whether the mask of an item changes the outputs of other items; that is told."""
    way = exam.way._replace(mask=(name, form, how))
    case = exam.case("others", "the masks of other items are changed", seed=64)
    case = exam.masked(case, form, 3)
    if len(case.keep) < 2:
        return False
    keep = case.keep.copy()
    keep[1:] = True
    changed = case._replace(keep=keep)
    replies = exam.patient.call([exam.patient.spec(way, c) for c in (case, changed)])
    one, two = (cases.received(r, way, c) for r, c in zip(replies, (case, changed), strict=True))
    if one is None or two is None or one.shape != two.shape or fit.gap(
            two[:1], one[:1]) < exam.near():
        return False
    exam.properties.append(Property("each item has its own mask", False, counterexample(
        exam, changed, two[:1], one[:1])))
    said = f"Each item must use its own row of `{name}`: the masks of other items change its output"
    if exam.model is not None:
        for join, words in JOINED:
            same = case._replace(keep=np.broadcast_to(
                (case.keep.all if join == "any" else case.keep.any)(0, keepdims=True),
                case.keep.shape))
            if fit.fits(exam.model, [(same, one)], way.dtype):
                said = f"{words}: each item must use its own row of `{name}`"
        note_masks(exam, name, [(form, how)])
    exam.way = way
    exam.said(f"{said}.", *exam.patient.line(r"\.(any|all|max|min|sum)\(|\[0\]|mask|where|len"))
    return True


def masked_properties(exam, name, ran):
    """Without an explanation: whether masked keys matter, in the convention that is kindest."""
    matters = None
    for form, how, observed in sorted(ran, key=lambda r: cases.WHOLE.index(r[1])):
        exam.way = exam.way._replace(mask=(name, form, how))
        case, dark = masked_keys(exam, observed[0][0])
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
                no_attention(exam, name, *observed[0])
            return
        matters = matters or (other, two, one)
    if matters:
        example = counterexample(exam, *matters)
        example["case"] = "a masked key and its value are changed"
        exam.properties.append(Property("a masked key does not matter", False, example))
        exam.said(f"A key that `{name}` masks still matters.", *exam.patient.line(MASKS))


def masked_keys(exam, case):
    """A case in which some keys are masked for all queries, and which: a bool for each key."""
    dark = ~np.broadcast_to(case.keep, (*case.keep.shape[:2], case.q.shape[-2],
                                        case.k.shape[-2])).any((0, 1, 2))
    if dark.any() and len(exam.way.inputs) > 1:
        return case, dark
    keep = case.keep.copy()
    keep[..., -1] = False
    keep[..., 0] |= ~keep.any(-1)
    return case._replace(keep=keep), np.arange(case.k.shape[-2]) == case.k.shape[-2] - 1


def no_attention(exam, name, case, got):
    """Say that masked keys do not matter, and that the output is not attention's all the same."""
    want = fit.predict(exam.model._replace(mistakes=()), case)[0]
    exam.properties.append(Property("masked outputs are those of attention", False,
                                    counterexample(exam, case, got, want)))
    told = difference(got, want)
    exam.said(f"With `{name}` the output is not that of attention{f': {told}' * bool(told)}.",
              *exam.patient.line(MASKS))


def note_masks(exam, name, options, most=10):
    """Keep as evidence that in no form and convention a mask does what it says."""
    way, kinds = exam.way, sorted(options, key=lambda o: (cases.WHOLE.index(o[1]), "b" not in o[0]))
    asked = [exam.masked(exam.case("mask", "there is a mask", seed=40 + s), form, s)
             for form, _ in kinds[:most] for s in (0, 1)]
    specs = [exam.patient.spec(way._replace(mask=(name, *kinds[i // 2])), case)
             for i, case in enumerate(asked)]

    def fine(replies):
        seen = [(case, cases.received(reply, way, case))
                for case, reply in zip(asked, replies, strict=True)]
        return any(fit.fits(exam.model, seen[i : i + 2], way.dtype) for i in range(0, len(seen), 2))

    note(exam, specs, fine, len(specs))
