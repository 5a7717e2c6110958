"""Stages of training: dropout keeps the mean, and nothing else changes."""

import numpy as np

from npattn.doctor import cases, fit
from npattn.doctor.comparing import counterexample
from npattn.doctor.examine import Property
from npattn.doctor.models import made_with


def same_in_training(exam, switch, off):
    """Training without dropout, or other noise, is evaluation."""
    case = exam.case("training", "it is training", seed=91, Tq=5, Tk=5)
    asked = [case, exam.masked(case, exam.way.mask[1], 33)] if exam.way.mask else [case]
    flags = {name: ("value", value) for name, value in ((switch, True), (off, False)) if name}
    way = exam.way._replace(others=tuple({**dict(exam.way.others), **flags}.items()))
    quiet = {"quiet": True} if getattr(exam.patient.facts, "module", False) else {}
    made = [exam.patient.spec(w, c, train=t, seed=s, **quiet) for c in asked
            for w, t, s in ((way, True, 1), (way, True, 2), (exam.way, False, 1))]
    got = [None if r.error else dict(r.out).get(exam.way.out) for r in exam.patient.call(made)]
    for i, c in enumerate(asked):
        one, two, still = got[3 * i : 3 * i + 3]
        if one is None or two is None or still is None or not np.array_equal(
                one, two, equal_nan=True) or np.isfinite(one).sum() < np.isfinite(still).sum():
            return  # there is noise, or a rate of 0 is divided by
        same = fit.gap(one, still) <= exam.near()
        example = {} if same else counterexample(
            exam, c, cases.inward(one, exam.way.layout, c.q.ndim),
            cases.inward(still, exam.way.layout, c.q.ndim))
        exam.properties.append(Property("training without noise is evaluation", same, example))
        if not same:
            Y = cases.inward(one, exam.way.layout, c.q.ndim)
            found = fit.explain([exam.model], [(c, Y)], fit.PLAIN + fit.CAUSAL + (
                fit.MASKING if c.keep is not None else []), exam.way.dtype)
            where = " where there is a mask" if c.keep is not None else ""
            exam.said(f"In training it is not what it is in evaluation{where}" + (
                f". {fit.MISTAKES[found[0].mistakes[-1]].words}" if found else
                ", although there is no noise."), *exam.patient.line(r"training|train|eval"))
            return


def noise_of_weights(exam, way, case, runs):
    """Whether dropout acts behind the softmax. Where all tokens are the same, so are all values: an
    output without noise then shows that the weights of a row still sum to 1.
    """
    same = [np.repeat(X[..., :1, :], X.shape[-2], -2) for X in (case.q, case.k, case.v)]
    alike = case._replace(q=same[0], k=same[1], v=same[2], words="all tokens are the same")
    seen = [cases.received(r, way, alike) for r in exam.patient.call([
        {**exam.patient.spec(way, alike, train=True, seed=run["seed"]), **{
            k: {**run[k], **{n: exam.patient.spec(way, alike)[k][n] for n, _ in way.inputs}}
            for k in ("kwargs",) if k in run}} for run in runs[:6]])]
    if any(Y is None for Y in seen):
        return
    still = fit.predict(exam.model, alike)[0]
    holds = any(fit.gap(Y, still) > exam.near() for Y in seen)
    probe = "dropout acts on the weights, behind the softmax"
    exam.properties.append(Property(probe, holds, {} if holds else counterexample(
        exam, alike, seen[0], "an output with noise")))
    if not holds:
        exam.said("In training the noise of dropout leaves each row of weights with the sum 1: it "
                  "acts on the scores, before the softmax (or on queries and keys, or the weights "
                  "are normalised again); it must act on the weights, behind the softmax.",
                  *exam.patient.line(r"drop|rand|binomial|bernoulli"))


def train_stage(exam):
    """Training: without noise it is evaluation; with dropout its mean is."""
    switch, off = exam.target.parameter("train"), exam.target.parameter("eval")
    rate = exam.target.parameter("dropout")
    made = any(r == "dropout" for *_, r in made_with(exam))
    if exam.model is None or exam.model.mistakes:
        return
    switched = switch or off or getattr(exam.patient.facts, "module", False) or exam.way.modes
    if switched:
        same_in_training(exam, switch, off)
    if exam.form() != "block" and (rate or made) and (switched or rate):
        dropout_stage(exam, switch, off, rate)


def dropout_stage(exam, switch, off, rate, calls=60):
    """The mean of many calls with dropout is what evaluation gives."""
    case = exam.case("train", "it is training, with dropout", Tq=24, Tk=24, B=4, seed=90)
    extra, rng = dict(exam.way.others), exam.target.parameter("rng")
    given = ((switch, ("value", True)), (off, ("value", False)), (rate, ("value", 0.4)))
    extra |= {name: value for name, value in given if name}
    runs = []
    for seed in range(calls):
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
    got, want = np.stack(got), fit.predict(exam.model, case)[0]
    if np.abs(got - got[0]).max() == 0.0:
        if np.abs(got[0] - want).max() > 1e-9:
            exam.properties.append(Property("dropout keeps the mean", None))
        return
    noise_of_weights(exam, way, case, runs)
    mean_is_kept(exam, got, want)


def mean_is_kept(exam, got, want):
    """Whether outputs (calls, ...) are those of evaluation on average, but for chance."""
    size, count = (want * want).sum(), len(got)
    factor = (got.mean(0) * want).sum() / size
    each = (got * want).sum(tuple(range(1, got.ndim))) / size
    spread = each.std() / np.sqrt(count)
    holds = abs(factor - 1) < max(0.06, 5 * spread)
    exam.properties.append(Property("dropout keeps the mean", bool(holds), {} if holds else {
        "case": f"{count} calls in training, their mean against evaluation", "inputs": {},
        "got": round(float(factor), 3), "expected": 1.0}))
    if not holds:
        exam.said(f"Dropout changes the mean of the output by the factor {factor:.3g}: what is "
                  "kept must be divided by 1 − p.", *exam.patient.line(
                      r"drop|rand|binomial|bernoulli"))
