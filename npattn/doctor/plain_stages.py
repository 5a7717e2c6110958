"""Stages without a mask: sizes, large scores, a second call, dtypes."""

import numpy as np

from npattn.doctor import fit
from npattn.doctor.comparing import KEEPS, KEPT, compare, counterexample
from npattn.doctor.examine import Property


def sizes_stage(exam):
    base = exam.plain_sizes
    equal = {"Tq": 6, "Tk": 6} if base.get("Tq") else {}
    lone = {"Tq": 1, "Tk": 1 if equal else 6}
    asked = [exam.case("sizes", "all sizes differ", **({"Tq": 4, "Tk": 7} | equal), seed=1),
             exam.case("square", "there are as many queries as keys", Tq=4, Tk=4, seed=2),
             exam.case("one", "there is one query", **lone, seed=3),
             exam.case("one key", "there is one query and one key", Tq=1, Tk=1, seed=4),
             exam.case("more queries", "there are more queries than keys",
                       **({"Tq": 7, "Tk": 3} | equal), seed=5)]
    if "b" in exam.way.layout:
        asked += [exam.case("one item", "the batch has one item", B=1, seed=6),
                  exam.case("five items", "the batch has five items", B=5, seed=7)]
    if exam.form() == "core" and "h" in exam.way.layout and exam.target.sizes.heads == 1:
        asked += [exam.case("one head", "there is one head", H=1, seed=8)]
    compare(exam, "it is attention for all sizes", asked, fit.PLAIN, soft=True)
    asked = [exam.case("strided", "arguments are views", options={"strided": True}, seed=9)]
    compare(exam, "views give the same as copies", asked, ())
    long = [exam.case("long", f"there are {n} keys", Tq=m, Tk=k, B=2, seed=10 + k)
            for n, m, k in ((37, 9, 37), (130, 70, 130))]
    if exam.target.sizes.max_len and exam.target.sizes.max_len < 130:
        long = long[:1]
    if exam.hints.get("length"):
        return
    longest = long[1:] and exam.patient.call([exam.patient.spec(exam.way, long[1])])[0].error
    if longest:  # a buffer of fixed size is a limit and no mistake, if it says so by an error
        exam.conventions.append(f"takes fewer than 130 keys: {longest}")
        long = long[:1]
    compare(exam, "long inputs give the same", long, fit.PLAIN, soft=True)


def scores_stage(exam):
    """Large scores, small ones, rows of different size."""
    def big(size, seed, rows=False):
        case = exam.case("large", f"the scores are about {size} times as large", size=size,
                         seed=seed, options={"loose": 1e5})
        if rows and len(exam.way.inputs) > 1:
            q = case.q.copy()
            q[..., 1:, :] *= 1e-3
            case = case._replace(q=q, words="rows of scores are of different sizes")
        return case

    if exam.form() == "block":
        return
    asked = [big(3.0, 1), big(60.0 if exam.form() == "core" else 25.0, 2)]
    if exam.form() == "core" and len(exam.way.inputs) > 1:
        asked.append(big(60.0, 3, True))
        low = exam.case("low", "all scores are far below 0", seed=4, options={"loose": 1e5})
        q, k = np.abs(low.q) + 0.1, -np.abs(low.k) - 0.1
        asked.append(low._replace(q=60.0 * q, k=60.0 * k))
        asked.append(low._replace(q=-60.0 * q, k=60.0 * k, words="all scores are far above 0"))
    compare(exam, "large scores do not overflow", asked, fit.NUMERIC + tuple(fit.PLAIN))


def repeat_stage(exam):
    """The same call again, and what is left of the calls between."""
    a = exam.case("first", "a call is repeated", seed=20)
    b = exam.case("other", "another call", seed=21, Tk=8, Tq=8)
    a2 = a._replace(options={"seed": 5})
    kept = exam.way.fresh
    exam.way = exam.way._replace(fresh=False)
    (_, one), (_, two), _, (_, three) = exam.ask([a, a2, b, a])
    replies = exam.replies
    exam.way = exam.way._replace(fresh=kept)
    if one is None:
        return
    same = two is not None and fit.gap(two, one) == 0.0
    exam.properties.append(Property(
        "evaluation is deterministic", same,
        {} if same else counterexample(exam, a, two, one)))
    if not same:
        if kept:
            exam.said(KEPT, *exam.patient.line(KEEPS))
        else:
            exam.said("Two calls with the same arguments give different outputs: dropout, or "
                      "other noise, is on in evaluation.", *exam.patient.line(r"drop|rand"))
        return
    again = three is not None and fit.gap(three, one) <= 1e-12
    exam.properties.append(Property("a second call gives the same", again,
                                    {} if again else counterexample(exam, a, three, one)))
    if not again:
        exam.said(KEPT, *exam.patient.line(KEEPS))
    exam.written |= {name for r in replies for name in r.wrote}


def writing_stage(exam):
    """Whether any of the calls so far has written to its arguments."""
    wrote = sorted(exam.written)
    exam.properties.append(Property("inputs are not written to", not wrote,
                                    {"inputs": {n: "changed" for n in wrote}} if wrote else {}))
    if wrote:
        exam.said(f"The call writes to its argument {', '.join(wrote)}; callers find it changed.",
                  *exam.patient.line(r"[-+*/]=|\]\s*=|_\(|out="))


def dtype_stage(exam):
    """float64 is computed in float64; float32 stays about float32."""
    if exam.way.dtype != "float64":
        exam.conventions.append("works in 32 bits only")
        return
    case = exam.case("float32", "arguments are float32", seed=30,
                     options={"dtype": "float32"})
    reply, = exam.patient.call([exam.patient.spec(exam.way, case)])
    out = dict(reply.out).get(exam.way.out)
    if out is None:
        exam.conventions.append("takes float64 only")
        return
    if out.dtype == np.float64:
        exam.conventions.append("float32 arguments give a float64 output")
    wide, = exam.patient.call([exam.patient.spec(exam.way, exam.case("float64", "", seed=30))])
    X = dict(wide.out).get(exam.way.out)
    kept = X is not None and X.dtype == np.float64 and out.dtype in (np.float32, np.float64)
    exam.properties.append(Property("the dtype is kept", bool(kept), {} if kept else {
        "inputs": "float64", "got": str(None if X is None else X.dtype), "expected": "float64"}))
    if not kept:
        exam.said("float64 arguments give an output of less precision.",
                  *exam.patient.line(r"float32|astype|dtype|\.float\(|float16|half"))
