"""Fit the reference to outputs: with its conventions, with one mistake, with two."""

import itertools
import re
import time
from functools import lru_cache

import numpy as np

from npattn.doctor.catalogue import MISTAKES, mistaken
from npattn.doctor.conventions import Model
from npattn.doctor.reference import varied
from npattn.edits import EditError

EXACT = {"float64": 2e-12, "tables": 2e-6, "float32": 3e-5}  # tables: those of 32 bits
HARMLESS = {f"1e-{n} in the sum{how}" for n in (8, 9, 10, 12) for how in ("", ", no maximum")}
HARMLESS |= {f"1e-{n} beside the sum of the weights" for n in (6, 8, 9, 10, 12)}
MASKING = [name for name, m in MISTAKES.items() if "mask" in m.needs]
CAUSAL = [name for name, m in MISTAKES.items() if m.needs == "causal"]
OF_THE_FUTURE = [name for name in MASKING if MISTAKES[name].where == "softmax"
                 or name == "masked values 0"]  # what is done to keys that the causal mask masks
BIAS = [name for name, m in MISTAKES.items() if m.needs == "bias"]
PLAIN = [name for name in MISTAKES if name not in {*MASKING, *CAUSAL, *BIAS}]
WITHIN = {  # functions of the reference that a form calls
    "core": {"allowed", "scale", "scores", "softmax", "repeated", "core", "capped", "distances",
             "near", "kept", "bucket"},
}
WITHIN["mha"] = WITHIN["core"] | {"dense", "split", "merge", "angles", "rotary", "multihead",
                                  "unit"}
WITHIN["sublayer"] = WITHIN["mha"] | {"norm", "sublayer"}
WITHIN["block"] = WITHIN["mha"] | {"norm", "feed_forward", "block"}
ACROSS = {"over the heads of a core", "over the batch", "softmax over heads",
          "softmax over the batch"}
NUMERIC = ("no maximum", "one maximum for all", "one maximum for a matrix")


class Budget:
    """How many candidates a search may try, the same on each machine; seconds are the last end."""

    def __init__(self, most, seconds=15.0):
        self.most, self.until, self.spent = most, time.process_time() + seconds, 0

    def over(self):
        return self.spent >= self.most or time.process_time() > self.until


class Failed(Exception):
    """The reference with these mistakes cannot compute the case."""


def geometric(heads):
    """ALiBi's slopes, for a power of two."""
    return 2.0 ** (-8.0 / heads * np.arange(1, heads + 1))


def predict(model, case):
    """(output, weights) of the reference with the model's mistakes. Raises Failed."""
    try:
        space = mistaken(*model.mistakes)
        c, W = model.c, model.W
        causal = bool(case.causal or model.causal)
        if c.slopes is not None and case.q.ndim == 4 and case.q.shape[1] != len(c.slopes):
            c = varied(c, slopes=geometric(case.q.shape[1]))
        if case.bias is not None:
            c = varied(c, bias=case.bias)
        with np.errstate(all="ignore"):
            if model.form == "core":
                M = space["allowed"](case.keep, causal, case.q.shape[-2], case.k.shape[-2], c)
                return space["alone"](case.q, case.k, case.v, M, c)
            if model.form == "mha":
                return space["multihead"](case.q, case.k, case.v, case.keep, causal, W, c)
            if model.form == "sublayer":
                return space["sublayer"](case.q, case.k, case.keep, causal, W, c)
            return space["block"](case.q, case.keep, causal, W, c)
    except Exception as error:  # an edited source may raise anything: it is no explanation then
        raise Failed(str(error)) from error


def alive(case, model):
    """(B, 1 or H, Tq) bool: queries that may attend to something."""
    Tq, Tk = case.q.shape[-2], case.k.shape[-2]
    causal = bool(case.causal or model.causal)
    A = mistaken()["allowed"](case.keep, causal, Tq, Tk, model.c).any(-1)
    if any(MISTAKES[name].where == "allowed" for name in model.mistakes if name in MISTAKES):
        try:
            M = mistaken(*model.mistakes)["allowed"](case.keep, causal, Tq, Tk, model.c)
            A = A & M.any(-1)
        except (EditError, ValueError, TypeError, IndexError):  # no mask: all count as alive
            pass
    return A


def rows(case, model, Y):
    """Which entries of an output are asked for: not those of queries without keys."""
    A = alive(case, model)
    if Y.ndim == 3:
        A = A.all(1)
    if A.ndim != Y.ndim - 1:
        return np.ones(Y.shape, bool)
    return np.broadcast_to(A[..., None], Y.shape)


def gap(got, want, where=None):
    """The largest difference relative to the largest entry; inf where numbers are missing."""
    if got is None or got.shape != want.shape:
        return np.inf
    where = np.ones(want.shape, bool) if where is None else where
    G, T = np.where(where, got, 0.0), np.where(where, want, 0.0)
    bad_g, bad_t = ~np.isfinite(G), ~np.isfinite(T)
    if (bad_g != bad_t).any():
        return np.inf
    G, T = np.where(bad_g, 0.0, G), np.where(bad_t, 0.0, T)
    return float(np.abs(G - T).max(initial=0.0) / max(np.abs(T).max(initial=0.0), 1e-300))


def distance(model, case, got):
    """How far the model is from an output; an error is met by an error alone."""
    try:
        want = predict(model, case)[0]
    except Failed:
        return 0.0 if got is None else np.inf
    if got is None:
        return np.inf
    if want.shape != got.shape:
        return np.inf
    asked = rows(case, model, want)
    if model.mistakes and 2 * asked.sum() < rows(case, model._replace(mistakes=()), want).sum():
        return np.inf  # where most queries see nothing, anything fits
    return gap(got, want, asked)


def tolerance(case, dtype="float64"):
    """How far an output may be from the model, by the precision of the call."""
    return EXACT[case.options.get("dtype", dtype)] * case.options.get("loose", 1.0)


def fits(model, observed, dtype="float64"):
    """Whether the model gives all outputs. observed: [(case, output or None), …]."""
    return all(distance(model, case, got) <= tolerance(case, dtype) for case, got in observed)


@lru_cache(maxsize=64)
def mistakes_for(form, names):
    """Those of the named mistakes that can be made in this form."""
    return [n for n in names if MISTAKES[n].where in WITHIN[form] or (
        form == "core" and n.startswith("rotary"))]


BEYOND = {"cap": r"cap", "rotary": "rotary", "window": r"window", "slopes": r"ALiBi",
          "table": r"table|buckets", "sink": r"sink"}


def possible(model, names):
    """Mistakes of what the model has: a window, a soft cap, …"""
    def has(value):
        return bool(value) if isinstance(value, str) else value is not None and np.any(value)

    lacking = [words for field, words in BEYOND.items() if not has(getattr(model.c, field))]
    pattern = re.compile(rf"\b({'|'.join(lacking)})\b") if lacking else None
    return [n for n in mistakes_for(model.form, tuple(names)) if not (
        pattern and pattern.search(n))]


def telling(observed, names):
    """The names that may explain outputs: where most are NaN, anything that overflows fits."""
    known = [np.isfinite(got).mean() for _, got in observed if got is not None]
    return names if not known or min(known) > 0.3 else [n for n in names if n in NUMERIC]


def explain(models, observed, names, dtype="float64", pairs=False, budget=None):
    """[model with a mistake, …] that give all outputs: all with one, or else some with two.

    budget  how much the search may try; the likely models come first
    """
    budget = budget or Budget(20_000)
    if all(got is None for _, got in observed):
        return []  # an error alone tells nothing
    names = telling(observed, names)
    if all(case.q.ndim == 4 and case.q.shape[1] == 1 for case, _ in observed):
        names = [n for n in names if "head" not in n]
    if dtype == "tables":
        names = [n for n in names if "32 bits" not in n and "the sum" not in n]
    for model in models:
        found = []
        for name in possible(model, names):
            made = model._replace(mistakes=(*model.mistakes, name))
            budget.spent += 1
            if fits(made, observed, dtype) and _differs(made, model, observed):
                found.append(made)
        if found:
            return found
        if budget.over():
            break
    return _two(models[:2], observed, names, dtype, budget) if pairs else []


def _two(models, observed, names, dtype, budget):
    """Models with two mistakes, both of which show."""
    for model in models:
        effective = [n for n in possible(model, names)
                     if n not in NUMERIC and _differs(
                         model._replace(mistakes=(*model.mistakes, n)), model, observed[:1])]
        found = []
        for two in itertools.combinations(effective, 2):
            made = model._replace(mistakes=(*model.mistakes, *two))
            budget.spent += 1
            if fits(made, observed, dtype):
                found.append(made)
            if budget.over():
                return found
        if found:
            return found
    return []


def _differs(made, model, observed):
    """Whether a mistake shows at all in the cases."""
    for case, _ in observed:
        try:
            a = predict(made, case)[0]
        except Failed:
            return True
        try:
            b = predict(model, case)[0]
        except Failed:
            return True
        if a.shape != b.shape or gap(a, b, rows(case, model, b)) > 1e-13:
            return True
    return False


__all__ = ["Model", "explain", "fits", "predict"]
