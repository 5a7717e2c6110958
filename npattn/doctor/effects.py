"""Weights without an effect: a sink, say, that the code holds and does not use."""

import numpy as np

from npattn.doctor import fit
from npattn.doctor.examine import Property

PROBE = "each weight has an effect"


def effect_stage(exam):
    """Change each weight whose name says nothing of projections, and look at the output."""
    if not exam.target.object or exam.form() == "core" or exam.way.fresh:
        return
    case = exam.case("effect", "a plain call", seed=95, Tq=6, Tk=6)
    (_, one), = exam.ask([case])
    if one is None:
        return
    for name, X, _ in exam.target.loose:
        path = name if exam.patient.facts.module else [
            int(part) if part.isdigit() else part for part in name.split(".")]
        changed = X + np.linspace(0.3, 0.9, X.size).reshape(X.shape)
        done, = exam.patient.ask(("set", exam.way.object, [(path, changed)]))
        (_, two), = exam.ask([case])
        exam.patient.ask(("set", exam.way.object, [(path, X)]))
        if "error" in done or two is None or fit.gap(two, one) > 1e-12:
            continue
        exam.conventions.append(f"`{name}` has no effect on the output")
        if "sink" in name:
            exam.said(f"The sink has no effect: the output does not change with `{name}`. Its "
                      "exponential must be part of each row's sum, so that the weights sum to less "
                      "than 1; they must not be normalised again.", *exam.patient.line("sink"))
            exam.properties.append(Property(PROBE, False, {
                "case": f"`{name}` is changed", "inputs": {}, "got": "the same output",
                "expected": "another output"}))
