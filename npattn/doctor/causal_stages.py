"""Stages of causal attention: the future, the corner, and causal and masked together."""

from npattn.doctor import fit
from npattn.doctor.comparing import compare, refuses
from npattn.doctor.examine import Property
from npattn.doctor.reference import varied

CORNERS = {"upper": "upper left corner, the first query is at the first key",
           "lower": "lower right corner, the last query is at the last key"}


def causal_stage(exam):
    """Whether the call is causal, and which mistake is in that."""
    name = exam.target.parameter("causal")
    if not name or exam.model is None:
        if exam.model is not None and exam.model.causal:
            exam.conventions.append("causal: a query attends to its own and earlier tokens")
        return
    exam.way = exam.way._replace(causal=name)
    equal = exam.plain_sizes.get("Tq")
    square = [exam.case("causal", "it is causal", Tq=5, Tk=5, seed=70)._replace(causal=True),
              exam.case("causal", "it is causal and long", Tq=40, Tk=40,
                        seed=71)._replace(causal=True),
              exam.case("causal", "it is not causal", Tq=5, Tk=5, seed=72)]
    if not compare(exam, "the future does not matter", square,
                   fit.CAUSAL + fit.OF_THE_FUTURE):
        return
    if len(exam.way.inputs) == 1 or equal:
        return both(exam, name)
    cross = [exam.case("causal", "it is causal and there are more keys than queries", Tq=3, Tk=7,
                       seed=73)._replace(causal=True),
             exam.case("causal", "it is causal and there is one query", Tq=1, Tk=6,
                       seed=74)._replace(causal=True)]
    observed = exam.ask(cross)
    if all(refuses(r) for r in exam.replies):
        exam.conventions.append("causal: for as many queries as keys only")
        return both(exam, name)
    corner = exam.hints.get("corner")
    for c in [corner] if corner else ["upper", "lower"]:
        model = exam.model._replace(c=varied(exam.model.c, corner=c))
        if fit.fits(model, observed, exam.way.dtype):
            exam.model = model
            exam.conventions.append(f"causal: {CORNERS[c]}")
            exam.properties.append(Property("causal for Tq ≠ Tk", True))
            return both(exam, name)
    if corner:
        exam.model = exam.model._replace(c=varied(exam.model.c, corner=corner))
    compare(exam, "causal for Tq ≠ Tk", cross, fit.CAUSAL)


def both(exam, name):
    """A causal mask and another one together."""
    for mask in exam.masks_found or [exam.way.mask] * bool(exam.way.mask):
        exam.way = exam.way._replace(mask=mask)
        with_mask(exam, mask[1])


def with_mask(exam, form):
    """Whether the causal order and a mask hold together."""
    asked = [exam.masked(exam.case("both", "it is causal and there is a mask", seed=75 + s,
                                   **({"Tq": 6, "Tk": 6} if s else {"Tq": 5, "Tk": 5})),
                         form, 20 + s)._replace(causal=True) for s in (0, 1, 2)]
    names = [n for n in fit.MASKING + fit.CAUSAL if n not in ("mask ignored", "causal ignored")]
    compare(exam, "causal and a mask hold together", asked, names, soft=True)
