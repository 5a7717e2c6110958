"""Stages of training: dropout keeps the mean, and nothing else changes."""

import numpy as np

from npattn.doctor import cases, fit
from npattn.doctor.examine import Property


def train_stage(exam):
    """Dropout, where it can be switched on: its mean is what evaluation gives."""
    switch = exam.target.parameter("train")
    off = exam.target.parameter("eval")
    module = getattr(exam.patient.facts, "module", False)
    rate = exam.target.parameter("dropout")
    made = any(r == "dropout" for *_, r in exam.target_made())
    if exam.model is None or exam.model.mistakes or exam.form() == "block":
        return
    if not (rate or made) or not (switch or off or module or rate):
        return
    case = exam.case("train", "it is training, with dropout", Tq=24, Tk=24, B=4, seed=90)
    extra = dict(exam.way.others)
    if switch:
        extra[switch] = ("value", True)
    if off:
        extra[off] = ("value", False)
    if rate:
        extra[rate] = ("value", 0.4)
    rng = exam.target.parameter("rng")
    runs = []
    for seed in range(60):
        if rng:
            extra[rng] = ("rng", seed)
        way = exam.way._replace(others=tuple(extra.items()), mask=(), causal="")
        runs.append(exam.patient.spec(way, case, train=True, seed=seed))
    got = []
    for reply in exam.patient.call(runs):
        out = None if reply.error else dict(reply.out).get(exam.way.out)
        Y = None if out is None else cases.inward(out, exam.way.layout, case.q.ndim)
        if Y is None:
            return
        got.append(Y)
    want = fit.predict(exam.model, case)[0]
    got = np.stack(got)
    if np.abs(got - got[0]).max() == 0.0:
        if np.abs(got[0] - want).max() > 1e-9:
            exam.properties.append(Property("dropout keeps the mean", None))
        return
    off = (got.mean(0) * want).sum() / (want * want).sum()
    spread = ((got * want).sum(tuple(range(1, got.ndim))) / (want * want).sum()).std() / np.sqrt(60)
    holds = abs(off - 1) < max(0.06, 5 * spread)
    exam.properties.append(Property("dropout keeps the mean", bool(holds), {} if holds else {
        "case": "60 calls in training, their mean against evaluation", "inputs": {},
        "got": round(float(off), 3), "expected": 1.0}))
    if not holds:
        exam.said(f"Dropout changes the mean of the output by the factor {off:.3g}: what is kept "
                  "must be divided by 1 − p.", *exam.patient.line(r"drop|rand|binomial|bernoulli"))
