"""The stage with masks: their form and convention are found by trying.

What a mask is wrong in stands on mask_mistakes; cases of all kinds, once its form is known, on
mask_cases; more than one mask or call on mask_calls.
"""

from npattn.doctor import cases, fit
from npattn.doctor.examine import Property
from npattn.doctor.mask_calls import kept_mask
from npattn.doctor.mask_cases import float_mask, masks
from npattn.doctor.mask_mistakes import (
    added, explained, first_for_all, masked_properties, names_for, note_masks, ordered,
    others_matter,
)
from npattn.doctor.ways import forms, hows


def mask_stage(exam):
    """Each mask parameter: its form and convention, then masks of all kinds."""
    for name, default, required, role in exam.target.parameters:
        if role in ("mask", "lens", "bias_add"):
            one_mask(exam, name, role)


def one_mask(exam, name, role):
    """The form and convention of one mask, by trying; then masks of all kinds in it."""
    model = exam.model
    options = [(form, how) for form in forms(exam, role, exam.way.layout)
               for how in hows(exam, role, name)]
    ran, good, sizes = any_sizes(exam, name, options)
    if not good and kept_mask(exam, name, options):
        return
    if not ran:
        return never_works(exam, name, role, options)
    if model is None:
        return masked_properties(exam, name, ran)
    if not good:
        ran, good = other_layouts(exam, name, role, ran)
    if not good:
        note_masks(exam, name, [(form, how) for form, how, _ in ran])
        explain_mask(exam, name, ran, sizes, options)
    elif not first_for_all(exam, name, ran, good):
        conclude_mask(exam, name, role, good, sizes)


def any_sizes(exam, name, options):
    """(options that come back, those that agree, sizes that they need or None)."""
    ran, good = trial(exam, name, options)
    if ran:
        return ran, good, None
    for sizes in ({"B": exam.heads(), "Tq": 5, "Tk": 5}, {"B": 5, "Tq": 5, "Tk": 5},
                  {"B": 1}, {"Tq": 5, "Tk": 5}):
        ran, good = trial(exam, name, options, **sizes)
        if ran and exam.mask_error:
            exam.conventions.append(f"`{name}` works for equal sizes only: {exam.mask_error.error}"
                                    f"{exam.patient.place({'line': exam.mask_error.line})}")
        if ran:
            return ran, good, sizes
    return [], [], None


def never_works(exam, name, role, options):
    """Every call with the mask fails."""
    error = exam.mask_error
    if role == "bias_add":
        exam.conventions.append(f"`{name}` is not examined: {error.error}")
        return
    if exam.model is not None:
        note_masks(exam, name, options)
    exam.said(f"Every call with `{name}` fails: {error.error}"
              f"{exam.patient.place({'line': error.line})}.", error.line, exam.text(error.line))
    exam.properties.append(Property("a masked key does not matter", False, {
        "inputs": {name: "any mask"}, "got": error.error, "expected": "an output"}))


def other_layouts(exam, name, role, ran):
    """(ran, good) in another layout that gives the same plain outputs: the mask may be for that."""
    way = exam.way
    for other, case, got, _ in exam.tried:
        if other.layout == way.layout or not fit.fits(exam.model, [(case, got)], way.dtype):
            continue
        exam.way = other._replace(causal=way.causal)
        more, good = trial(exam, name, [(form, how) for form in forms(exam, role, other.layout)
                                        for how in hows(exam, role, name)])
        if good:
            return more, good
    exam.way = way
    return ran, []


def conclude_mask(exam, name, role, good, sizes):
    """Say what the mask means, and ask for masks of all kinds."""
    first = {}
    for form, how in good:
        first.setdefault(form, how)
    chosen = list(first.items())
    form, how = chosen[0]
    said = "valid lengths" if role == "lens" or form.startswith("lens") else cases.SAID.get(
        how, how[0])
    axes = ", ".join(f"({', '.join(words(f, exam.way.layout))})" for f, _ in chosen[:3])
    exam.conventions.append(f"`{name}`: {said}; axes {axes}")
    if "mask" not in exam.hints and role == "mask":
        exam.guessed.append(f"mask={how[0]}")
    if sizes is not None:
        exam.said(f"`{name}` is right for equal sizes only, and fails for others: "
                  f"{exam.mask_error.error}{exam.patient.place({'line': exam.mask_error.line})}.",
                  exam.mask_error.line)
        return
    for option in chosen:
        masks(exam, name, *option)
    exam.masks_found.append((name, *chosen[0]))
    exam.way = exam.way._replace(mask=(name, *chosen[0]))
    added = next(((form, how) for form, how in good if how[0] == "add"), None)
    if added:
        float_mask(exam, name, *added, {how[0] for _, how in good} != {"add"})
        exam.way = exam.way._replace(mask=(name, *chosen[0]))


def words(form, layout):
    """The axes of a mask of this form, as a reader writes them."""
    return [{"b": "B", "h": "H", "q": "Tq", "k": "Tk", "1": "1"}[a] for a in form
            ] if not form.startswith("lens") else (["B", "Tq"] if form == "lens2" else ["B"])


def trial(exam, name, options, **sizes):
    """(options that come back, options that agree with the model)."""
    asked = []
    for form, how in options:
        for seed in (0, 1, 2):
            case = exam.case("mask", "there is a mask", seed=40 + seed, **(exam.small(sizes)))
            asked.append((form, how, exam.masked(case, form, seed)))
    specs = [exam.patient.spec(exam.way._replace(mask=(name, form, how)), case)
             for form, how, case in asked]
    replies = exam.patient.call(specs)
    ran, good, k = [], [], 0
    exam.mask_error = next((r for r in replies if r.error), None)
    for form, how in options:
        observed = []
        for _ in range(3):
            _, _, case = asked[k]
            reply = replies[k]
            k += 1
            got = cases.received(reply, exam.way, case)
            if got is not None and got.shape[:-1] != case.q.shape[:-1]:
                got = None
            observed.append((case, got))
        if any(got is None for _, got in observed):
            continue
        ran.append((form, how, observed))
        if exam.model is not None and all(
                fit.distance(exam.model, case, got) <= fit.tolerance(
                    case, exam.way.dtype) * exam.loose for case, got in observed):
            good.append((form, how))
    return ran, good


def explain_mask(exam, name, ran, sizes, options):
    """No convention gives the outputs: which mistake does, in which convention?"""
    names = names_for(exam, name)
    if added(exam, name, ordered(ran)) or explained(exam, name, ran, sizes, names):
        return
    if any(("b" in form or form in ("lens", "lens2")) and others_matter(exam, name, form, how)
           for form, how, _ in ordered(ran)[:2]):
        return
    if sizes is None and exam.target.parameter("k", "memory"):  # it may run for equal sizes alone
        more, _ = trial(exam, name, options, Tq=5, Tk=5)
        kinds = {(form, how) for form, how, _ in ran}
        if explained(exam, name, [r for r in more if r[:2] not in kinds], {}, names):
            return
    masked_properties(exam, name, ran)
