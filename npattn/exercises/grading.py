"""From a function to a verdict: every trial, the first failure, and what probably caused it."""

import re
from dataclasses import replace
from functools import lru_cache

import numpy as np

from npattn.checking.entries import VANISHING, tolerances
from npattn.checking.report import Entry
from npattn.edits import source_of, wrote
from npattn.exercises.answers import Trouble, call
from npattn.exercises.diagnosis import diagnose
from npattn.exercises.plain import plain, step_formulas, steps_in
from npattn.exercises.texts import texts
from npattn.exercises.trials import PLAIN, SINGLE, STRIDED, quiet, trials
from npattn.exercises.verdict import Answer, Failure, Verdict

RTOL = 1e-11  # relative to what is added up to make an entry; adding in another order costs less
NOTHING = re.compile(r"(.+) = \1")  # where something was left out
ROUNDINGS = 16.0  # of the answer's largest size; what cancels on the way to an entry leaves no more


def grade(exercise, function, seed=0, lang="en"):
    """The `Verdict` on `function` as a solution of `exercise`. The same seed, the same verdict."""
    with quiet():
        verdict = _grade(exercise, function, seed)
    if lang == "en":
        return verdict
    steps = dict(step_formulas(exercise.derivation))
    return replace(verdict, lang=lang, words=texts(exercise, lang).mistakes, steps=steps)


def _grade(exercise, function, seed):
    numbers, count, fault, notes = 0, 0, 0.0, ()
    for dress in (PLAIN, SINGLE, STRIDED):
        given = trials(exercise, seed, dress)
        outcomes = [call(function, trial, exercise.answer) for trial in given]
        judged = [_judge(exercise, *pair) for pair in zip(given, outcomes, strict=True)]
        if not all(map(_right, judged)):
            return _wrong(exercise, seed, dress, function, outcomes, judged)
        answers = [answer for answers in judged for answer in answers]
        count, numbers = count + len(given), numbers + sum(answer.got.size for answer in answers)
        if dress == PLAIN:
            fault = max(answer.fault for answer in answers)
        if dress == SINGLE:
            notes = _precision_notes(judged[-1])
    truth = "complex step on the forward" if exercise.forward else "the specification"
    return Verdict(
        exercise.name, True, numbers=numbers, cases=count, fault=fault, truth=truth, notes=notes
    )


def _wrong(exercise, seed, dress, function, outcomes, judged):
    if all(isinstance(outcome, Trouble) and outcome.unwritten for outcome in outcomes):
        return Verdict(exercise.name, False, trouble=outcomes[0].words)
    failed = [i for i, answers in enumerate(judged) if not _right(answers)]
    given = trials(exercise, seed, dress)
    first = min(failed, key=lambda i: (given[i].derived, given[i].size))
    inputs = tuple(given[first].inputs(exercise.reference))
    found = diagnose(exercise, seed, function, outcomes, judged) if dress == PLAIN else None
    return Verdict(
        exercise.name, False,
        failure=Failure(
            given[first].words, first + 1, len(given), len(failed), inputs, judged[first]
        ),
        diagnosis=found, mistakes=exercise.mistakes, steps=steps_of(exercise),
        written=_written(exercise, found),
        notes=() if dress == PLAIN else ("With contiguous float64 arrays every case is right.",),
    )


def _written(exercise, diagnosis):
    """{id of a mistake that is named: what was probably written, in the solution's names}."""
    explained = diagnosis.explanations if diagnosis else ()
    keys = {key for each in explained for made in each.sets for key in made}
    edits = {key: exercise.mistakes[key].edit for key in keys if exercise.mistakes[key].edit}
    texts = {key: wrote(source_of(exercise.reference), edit) for key, edit in edits.items()}
    return {key: text for key, text in texts.items() if not NOTHING.fullmatch(text)}


@lru_cache
def steps_of(exercise):
    """{1: "the first sentence of step 1 of the derivation", ...}."""
    return {number: re.split(r"(?<=[.?])\s", plain(text))[0]
            for number, text in steps_in(exercise.derivation).items()}


def _judge(exercise, trial, outcome):
    """One `Answer` for each array of an outcome; a Trouble is handed on."""
    if isinstance(outcome, Trouble):
        return outcome
    triples = zip(exercise.answer.items(), outcome, trial.truths, strict=True)
    scale = max(truth.found.size.max(initial=0.0) for truth in trial.truths)
    if trial.eps > np.finfo(np.float64).eps:  # exp of a difference loses what its terms round
        scale *= max(1.0, *(_largest(X) for _, X in trial.inputs(exercise.reference)))
    return tuple(
        _compare(name, words, got, truth, trial, scale) for (name, words), got, truth in triples
    )


def _largest(X):
    """The largest finite size in an argument."""
    X = np.asarray(0.0 if X is None else X)
    return float(np.abs(X[np.isfinite(X)]).max(initial=0.0)) if X.dtype.kind in "fi" else 0.0


def _right(answers):
    return not isinstance(answers, Trouble) and not any(answer.complaint for answer in answers)


def _compare(name, words, got, truth, trial, scale):
    want = truth.value
    if got.shape != want.shape:
        complaint = f"{name} has shape {got.shape}, should have {want.shape}"
        return Answer(name, want, got, None, complaint, np.inf)
    eps = max(trial.eps, np.finfo(got.dtype).eps if got.dtype.kind == "f" else 0.0)
    # The truth is known in double precision; an answer rounds in its own.
    rounding = truth.found.rounding * eps / np.finfo(np.float64).eps
    found = truth.found._replace(rounding=rounding)
    tolerance = np.maximum(tolerances(found, RTOL, eps), ROUNDINGS * eps * scale)
    tolerance = tolerance.reshape(want.shape)
    values = got.astype(np.float64)  # NumPy 1 compares a float32 array with any number in float32
    error = np.abs(values - want)
    wrong = ~((error <= tolerance) | (got == want))
    if trial.zeros:  # a masked weight, say: exactly 0
        wrong |= ~truth.found.moves.reshape(want.shape) & ~(np.abs(values) < VANISHING)
    fault = float(tolerance.max(initial=0.0))
    if not wrong.any() and eps > trial.eps:
        complaint = f"{name} is {got.dtype} where {PLAIN} goes in: half of the digits are lost"
        return Answer(name, want, got, got != want, complaint, fault)
    if not wrong.any():
        return Answer(name, want, got, wrong, "", fault)
    flat = int(np.argmax(np.where(wrong, np.nan_to_num(error, nan=np.inf), -1.0)))
    index = tuple(int(i) for i in np.unravel_index(flat, want.shape))
    place = entry_name(name, index, words)
    worst = Entry(place, index, float(got[index]), float(want[index]), 0.0)
    if want.dtype == bool:
        worst = f"{place} is {got[index]}, should be {want[index]}"
    more = f"; {wrong.sum()} of {wrong.size} entries are wrong" if wrong.size > 1 else ""
    return Answer(name, want, got, wrong, str(worst) + more, fault)


def entry_name(name, index, words):
    """dQ[batch 0, query 2, dim 1]: `words` name the last axes, those before them are batch axes."""
    if not index:
        return name
    labels = ["batch"] * (len(index) - len(words.split())) + words.split()[-len(index):]
    return f"{name}[{', '.join(f'{label} {i}' for label, i in zip(labels, index, strict=True))}]"


def _precision_notes(answers):
    """A solution may widen the precision of its inputs, but should know it."""
    return tuple(
        f"{answer.name} comes out as {answer.got.dtype} where {SINGLE} goes in. A NumPy number "
        "(np.sqrt(n), mask.sum()) or a table in float64 can do that."
        for answer in answers
        if answer.want.dtype.kind == "f" and answer.got.dtype != np.dtype(SINGLE)
    )
