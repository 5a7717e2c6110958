"""Properties of attention that need no reference."""

import ast
import re

import numpy as np

from npattn.doctor import fit
from npattn.doctor.comparing import counterexample
from npattn.doctor.examine import Property
from npattn.doctor.models import models


AVERAGE = "the output is an average of values"
MIXING = r"softmax|sum|mean|max|reshape|transpose|permute"
SMOOTH = "a small change of the queries changes the output"
SAID = {
    SMOOTH: ("A small change of the queries changes nothing: the scores are rounded (an integer "
             "division `//`, or a conversion to integers).", r"//|round|floor|int"),
    AVERAGE: ("The weights of a row do not sum to 1 (but to {:.4g} … {:.4g}): the output is no "
              "average of the values.", r"sum|softmax|exp"),
    "items of a batch do not influence each other": (
        "Items of the batch influence each other.", MIXING),
    "heads do not influence each other": ("Heads influence each other.", MIXING),
    "the order of keys and values does not matter": (
        "The order of keys and values matters, although nothing says where they stand.",
        r"arange|pos|cumsum|roll|reshape"),
    "the future does not matter": ("A query sees the future.", r"tril|triu|mask|causal"),
}
ALONE = (({"B": 1}, "one item in the batch"), ({"H": 1}, "one head"), ({"Tq": 1}, "one query"),
         ({"Tq": 5, "Tk": 5}, "as many queries as keys"), ({"Tk": 1}, "one key"))


def property_stage(exam):
    """Properties of attention that need no reference."""
    case = exam.case("property", "a plain call", seed=80)
    kinds = [*influences(exam, case), *sums(exam, case), *orders(exam, case), *steps(exam, case)]
    observed = exam.ask([case, *(changed for _, changed, _ in kinds)])
    one = observed[0][1]
    if one is None:
        reply = exam.replies[0]
        if exam.model is not None and not exam.mistakes and reply.error:
            exam.said(f"A call like the first one fails after others: {reply.error}"
                      f"{exam.patient.place({'line': reply.line})}; something is kept between "
                      "calls (state that is not reset).", reply.line)
        return
    quiet, size = not exam.mistakes, max(np.abs(one).max(initial=0.0), 1.0)
    near = size * max(1e-9 if exam.way.dtype == "float64" else 1e-4, 2e-12 * exam.loose)
    for (probe, changed, expected), (_, got) in zip(kinds, observed[1:], strict=True):
        if got is None:
            exam.properties.append(Property(probe, None))
            continue
        want = expected(one, got)
        holds = bool(got.shape == want.shape and np.abs(got - want).max(initial=0.0) <= near)
        exam.properties.append(Property(probe, holds, {} if holds else counterexample(
            exam, changed, got, want)))
        if quiet and not holds and (probe != AVERAGE or np.isfinite(got).all()):
            said, lines = SAID[probe]
            exam.said(said.format(got.min(), got.max()), *exam.patient.line(lines))
    if quiet and (clause := alone_right(exam)):
        exam.guess = f"{clause[0].upper()}{clause[1:]}."
        if exam.mistakes:
            first = exam.mistakes[0]
            exam.mistakes[0] = first | {"sentence": f"{first['sentence'][:-1]}; {clause}."}


def influences(exam, case):
    """[(probe, changed case, what must come out of both outputs), …]: who may read whom."""
    letters = [letter for _, letter in exam.way.inputs]
    r = case.q.shape[1] // case.k.shape[1] if case.q.ndim == 4 else 1

    def changed(part, heads=False):
        made = [X.copy() for X in (case.q, case.k, case.v)]
        for X, first in zip(made, (r, 1, 1), strict=True):
            place = (slice(None), slice(first, None)) if heads else part
            X[place] = 0.5 - X[place]
        return case._replace(q=made[0], k=made[1], v=made[2])

    if "b" in exam.way.layout:
        yield ("items of a batch do not influence each other", changed(slice(1, None)),
               lambda one, new: np.concatenate([one[:1], new[1:]]))
    if "h" in exam.way.layout and exam.form() == "core":
        yield ("heads do not influence each other", changed(None, True),
               lambda one, new: np.concatenate([one[:, :r], new[:, r:]], 1))
    if exam.hints.get("causal") == "yes" and not exam.target.parameter("causal"):
        last = changed((..., slice(-1, None), slice(None)))
        yield ("the future does not matter", last if len(letters) == 1 else last._replace(q=case.q),
               lambda one, new: np.concatenate([one[..., :-1, :], new[..., -1:, :]], -2))


def sums(exam, case):
    """As `influences`: the weights of a row sum to 1."""
    if exam.form() == "core" and "v" in [letter for _, letter in exam.way.inputs]:
        yield AVERAGE, case._replace(v=np.ones_like(case.v)), lambda one, new: np.ones_like(one)


def orders(exam, case):
    """As `influences`: keys are a set, where positions play no part."""
    causal = exam.model is not None and exam.model.causal or exam.hints.get("causal") == "yes"
    if len(exam.way.inputs) > 1 and not causal and not knows_places(exam):
        turned = np.random.default_rng(1).permutation(case.k.shape[-2])
        yield ("the order of keys and values does not matter",
               case._replace(k=case.k[..., turned, :], v=case.v[..., turned, :]),
               lambda one, new: one)


def steps(exam, case):
    """As `influences`: scores are not rounded. Where they are, a small change shows nowhere."""
    moved = case.q + 1e-6 * (1.0 + np.abs(case.q))
    if exam.way.dtype == "float64" and len(exam.way.inputs) > 1:
        yield (SMOOTH, case._replace(q=moved),
               lambda one, new: new if np.abs(new - one).max() else np.full_like(one, np.inf))


def knows_places(exam):
    """Whether positions play a part: then keys are not a set."""
    if exam.model is None:
        return bool(re.search(r"\b(cos|sin|arange|window|alibi|slopes?|rel\w*|pos\w*)\b",
                              ast.unparse(exam.patient.node())))
    c = exam.model.c
    return bool(c.rotary or c.window or c.slopes is not None or c.table is not None)


def alone_right(exam):
    """Where no model gives the outputs: in which small cases there is one, in a clause; ""."""
    if exam.model is not None or exam.form() == "block":
        return ""
    found = []
    for sizes, words in ALONE:
        if any(x in sizes and x.lower() not in exam.way.layout for x in "BH"):
            continue
        seen = exam.ask([exam.case("alone", words, seed=s, **sizes) for s in (85, 86)])
        if any(Y is None for _, Y in seen):
            continue
        likely = sorted(models(exam, exam.way.form), key=lambda m: len(m.notes) + m.c.heads_last)
        if any(fit.fits(m, seen, exam.way.dtype) for m in likely[:40]):
            found.append(words)
    return f"it is right with {' and with '.join(found)}, and wrong otherwise" if found else ""
