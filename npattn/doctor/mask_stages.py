"""Stages with masks: whose convention is found by trying, and then asked in all kinds of cases."""

import itertools
import re

import numpy as np

from npattn.doctor import cases, fit
from npattn.doctor.comparing import KEEPS, compare, counterexample, refuses
from npattn.doctor.differences import difference
from npattn.doctor.examine import Property
from npattn.doctor.repair import note, note_cases
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


JOINED = (("any", "A key that is masked in one item of the batch is masked in all of them"),
          ("all", "A key that is allowed in one item of the batch is allowed in all of them"))


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


TOGETHER = "two masks hold together"
JOINS = (
    (np.logical_or, "`{0}` and `{1}` are joined by or; a key must be allowed by both masks."),
    (lambda a, b: a, "Where `{0}` and `{1}` are both given, the second mask `{1}` is ignored; a "
                     "key must be allowed by both."),
    (lambda a, b: b, "Where `{0}` and `{1}` are both given, the first mask `{0}` is lost; a key "
                     "must be allowed by both."))


def joined(exam, seen, join):
    """Whether two masks act as one that `join` makes of them."""
    return fit.fits(exam.model, [(case._replace(keep=join(*keeps)), got)
                                 for case, got, keeps in seen], exam.way.dtype)


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


def float_mask(exam, name, form, how, others=False):
    """A mask that is added may hold any numbers.

    others  whether it may be another mask than one that is added: then a mistake must have a name
    """
    asked = []
    for seed in (0, 1, 2):
        case = exam.masked(exam.case("float mask", "a float mask holds ordinary numbers",
                                     seed=44 + seed), form, seed)
        drawn = np.random.default_rng(seed).standard_normal(case.keep.shape)
        asked.append(case._replace(bias=np.round(1.5 * drawn, 1)))
    exam.way = exam.way._replace(mask=(name, form, how))
    observed = exam.ask(asked)
    cut = [(c._replace(keep=c.keep & (c.bias >= 0), bias=None), Y) for c, Y in observed]
    if all(Y is not None for _, Y in cut) and fit.fits(exam.model, cut, exam.way.dtype):
        exam.conventions.append(f"`{name}`: what is below 0 is masked, whatever its size")
        return
    names = [n for n in fit.BIAS if n != "bias ignored"]
    if not others or fit.explain([exam.model], observed, names, exam.way.dtype):
        compare(exam, "a float mask is added to the scores", asked, fit.BIAS)


OTHER_FORMS = ("one key too many", "one key too few", "keys before the length",
               "last key never masked", "first key never masked", "mask of the first query",
               "mask for the first head alone", "mask for the first item alone", "masks tiled",
               "masked scores 0", "masked weights 0", "masked values 0")
FIRSTS = ("mask of the first item", "mask of the first query", "mask of the first head")


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


def masked_properties(exam, name, ran):
    """Without an explanation: whether masked keys matter, in the convention that is kindest."""
    best = None
    order = sorted(ran, key=lambda r: cases.WHOLE.index(r[1]))
    for form, how, observed in order:
        exam.way = exam.way._replace(mask=(name, form, how))
        case = observed[0][0]
        dark = ~np.broadcast_to(case.keep, (*case.keep.shape[:2], case.q.shape[-2],
                                            case.k.shape[-2])).any((0, 1, 2))
        if not dark.any() or len(exam.way.inputs) == 1:
            flat = case.keep.copy()
            flat[..., -1] = False
            flat[..., 0] |= ~flat.any(-1)
            case = case._replace(keep=flat)
            dark = np.zeros(case.k.shape[-2], bool)
            dark[-1] = True
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
                c, got = observed[0]
                want = fit.predict(exam.model._replace(mistakes=()), c)[0]
                exam.properties.append(Property("masked outputs are those of attention", False,
                                                counterexample(exam, c, got, want)))
                told, lines = difference(got, want), r"mask|where|masked_fill|tril|triu"
                exam.said(f"With `{name}` the output is not that of attention"
                          f"{f': {told}' * bool(told)}.", *exam.patient.line(lines))
            return
        best = best or (case, other, one, two)
    if best:
        case, other, one, two = best
        example = counterexample(exam, other, two, one)
        example["case"] = "a masked key and its value are changed"
        exam.properties.append(Property("a masked key does not matter", False, example))
        exam.said(f"A key that `{name}` masks still matters.", *exam.patient.line(
            r"mask|where|masked_fill|tril|triu"))


def masks(exam, name, form, how):
    """Masks of one form in all kinds of cases."""
    exam.way = exam.way._replace(mask=(name, form, how))
    case = exam.case("mask", "there is a mask", seed=50)
    asked = [exam.masked(case, form, 3), exam.masked(exam.case("m", "there is a mask and one item",
                                                               B=1, seed=51), form, 4),
             exam.masked(exam.case("m", "there is a mask and many keys", seed=52, Tq=9, Tk=37),
                         form, 5),
             exam.masked(exam.case("m", "there are as many queries as keys, and a mask", seed=53,
                                   Tq=6, Tk=6), form, 6),
             exam.everything(case, form)]
    if exam.target.sizes.max_len and exam.target.sizes.max_len < 37:
        asked.pop(2)
    names = fit.MASKING
    compare(exam, "masked keys do not count, allowed ones do", asked, names, soft=True)
    large = [exam.masked(exam.case("m", "there is a mask and large scores", seed=54 + s, size=z,
                                   options={"loose": 1e5}), form, 7 + s)
             for s, z in ((0, 4.0), (1, 12.0))]
    if exam.form() != "block":
        compare(exam, "a mask holds where scores are large", large, names + list(fit.NUMERIC))
    if exam.form() == "core" and not exam.model.mistakes:  # only a constant that is named counts
        asked = [exam.masked(exam.case("m", "there is a mask and huge scores", seed=58, size=60.0,
                                       options={"loose": 1e5}), form, 8)]
        if fit.explain([exam.model], exam.ask(asked), [n for n in names if "scores −" in n],
                       exam.way.dtype):
            compare(exam, "a mask holds where scores are large", asked, names)
    dark = exam.masked(exam.case("m", "there is a mask", seed=56), form, 9)
    flat = np.broadcast_to(dark.keep, (*dark.keep.shape[:2], dark.keep.shape[2],
                                       dark.k.shape[-2])).copy()
    if not form.startswith("lens"):
        flat[..., -2:] = False
        flat[..., 0] |= ~flat.any(-1)
        hidden = np.zeros(dark.k.shape[-2], bool)
        hidden[-2:] = True
    else:
        hidden = ~flat.any((0, 1, 2))
    dark = dark._replace(keep=flat)
    if hidden.any() and len(exam.way.inputs) > 1:
        other = exam.poisoned(dark, hidden)
        compare(exam, "a masked key does not matter, whatever it holds",
                [other._replace(words="masked keys and values are large",
                                options={"loose": 1e4})], names)
    dead_stage(exam, name, form)


def dead_stage(exam, name, form):
    """A query that may attend to nothing."""
    case = exam.case("dead", "a query may attend to nothing", seed=57)
    case = exam.masked(case, form, 11, dead=True)
    (_, got), = exam.ask([case])
    reply = exam.replies[0]
    if got is None:
        exam.conventions.append(f"a query without keys raises {reply.error}" if refuses(reply)
                                else f"a query without keys is an error: {reply.error}")
        return
    if exam.model is None:
        return
    probe = "a query without keys harms no other query"
    if fit.distance(exam.model, case, got) > fit.tolerance(case, exam.way.dtype) * exam.loose:
        want = fit.predict(exam.model, case)[0]
        exam.properties.append(Property(probe, False, counterexample(exam, case, got, want)))
        note_cases(exam, [case], [exam.model._replace(mistakes=())])
        exam.said("A query that may attend to nothing changes the outputs of others.",
                  *exam.patient.line(r"mask|max|softmax"))
        return
    exam.properties.append(Property(probe, True))
    if kind := given_to_dead(exam, case, got):
        exam.conventions.append(f"a query without keys gives {kind}")
        wanted, known = exam.hints.get("dead"), {"zero": "0", "nan": "NaN", "uniform": "the mean"}
        if wanted and not kind.startswith(known[wanted]):
            exam.said(f"A query without keys gives {kind}; {wanted} was asked for.", 0, "")


def given_to_dead(exam, case, got):
    """What a query without keys gives, in words; "" where the case has none."""
    dead = ~fit.alive(case, exam.model)
    if exam.form() != "core":
        dead = dead.all(1)
    row = got[np.broadcast_to(dead, got.shape[:-1])]
    if not row.size:
        return ""
    if np.isnan(row).any():
        return "NaN (which spreads to all that is computed from it)"
    if not row.any():
        return "0"
    if exam.form() == "core":
        mean = np.repeat(case.v.mean(-2, keepdims=True), got.shape[1] // case.v.shape[1], 1)
        mean = np.broadcast_to(mean, got.shape)[np.broadcast_to(dead, got.shape[:-1])]
        if np.allclose(row, mean, atol=1e-6):
            return "the mean of all values (uniform weights), masked ones included"
    return "something else"
