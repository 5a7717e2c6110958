"""A mask whose form and convention are known, in cases of all kinds."""

import numpy as np

from npattn.doctor import fit
from npattn.doctor.comparing import compare, counterexample, refuses
from npattn.doctor.examine import Property
from npattn.doctor.repair import note_cases


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
    hidden_values(exam, form, names)
    dead_stage(exam, name, form)


def hidden_values(exam, form, names):
    """Large numbers in keys and values that no query may attend to."""
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
