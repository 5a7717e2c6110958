"""Arguments of 16 bits: large constants become infinite there, and 0 · ∞ is NaN."""

import re

import numpy as np

from npattn.doctor import cases, fit
from npattn.doctor.comparing import counterexample
from npattn.doctor.examine import Property

PROBE = "float16 arguments give numbers where float64 does"
CARES = r"float16|half|\.dtype\.type\(|finfo"  # code that is written for other dtypes, too


def half_stage(exam):
    """Plain calls, masked and causal ones in float16: NaN where float64 gives numbers."""
    if exam.model is None or exam.mistakes or exam.way.dtype != "float64" or exam.form() == "block":
        return
    plain = exam.case("half", "arguments are float16", seed=31, options={"dtype": "float16"})
    asked = [(plain, exam.way._replace(mask=()))]
    for mask in exam.masks_found:
        case = exam.masked(plain._replace(words="arguments are float16 and there is a mask"),
                           mask[1], 5)
        asked.append((case, exam.way._replace(mask=mask)))
    specs = [exam.patient.spec(way, case) for case, way in asked]
    for spec, (_, way) in zip(specs, asked, strict=True):
        if way.mask and way.mask[0] in spec.get("kwargs", {}):  # it keeps its own dtype
            kind, X = spec["kwargs"][way.mask[0]]
            spec["kwargs"][way.mask[0]] = ("exact" if kind == "array" else kind, X)
    for (case, way), reply in zip(asked, exam.patient.call(specs), strict=True):
        got = cases.received(reply, way, case)
        if got is None:
            exam.conventions.append(f"float16 is not examined: {reply.error or 'another shape'}")
            return
        got, want = got.astype(np.float64), fit.predict(exam.model, case)[0]
        lost = ~np.isfinite(got) & np.isfinite(want) & fit.rows(case, exam.model, want)
        if lost.any():
            return no_numbers(exam, case, way, got, want)
    exam.properties.append(Property(PROBE, True))


def no_numbers(exam, case, way, got, want):
    """Say it: as a mistake of code that is written for other dtypes, else as a limit."""
    where = " where there is a mask" if case.keep is not None else ""
    said = (f"With float16 arguments the output is NaN or infinite{where}: a constant such as −1e9 "
            "is −inf in 16 bits, and 0 · (−inf) is NaN; use where, or a constant of the dtype "
            "(finfo)")
    if not re.search(CARES, exam.patient.text):
        exam.conventions.append(said[0].lower() + said[1:])
        return
    kept, exam.way = exam.way, way
    exam.properties.append(Property(PROBE, False, counterexample(exam, case, got, want)))
    exam.way = kept
    exam.said(f"{said}.", *exam.patient.line(r"1e\d|inf|finfo|float16|half"))
