"""A learner's function, called with care: what it returned, or what went wrong, in which line."""

import linecache
import traceback
from typing import NamedTuple

import numpy as np

from npattn.checking.matching import describe
from npattn.exercises.shape_words import misfit
from npattn.trees import tree_leaves

WRITES = (
    "it writes to one of its arguments{place}. They belong to the caller, who may need "
    "them again: make a new array (`X = X * 2`, not `X *= 2`; or X.copy() first)"
)


class Trouble(NamedTuple):
    """Why there are no numbers to judge."""

    words: str
    error: str = ""  # the type of the exception, "" where the function returned

    @property
    def unwritten(self):
        """Whether the stub is still there."""
        return self.error == "NotImplementedError"

    @property
    def unsettled(self):
        """Whether a mistake may do anything in this case, depending on how it is written."""
        return self.error == "Unsettled"


class Elsewhere:
    """A function that runs in another process."""

    def call(self, args, count):
        """What it returned, with `Thing` for what is no array of numbers; or a `Trouble`."""
        raise NotImplementedError

    def changed(self, source, changes, args, count, quick):
        """What it returns with each change of its source; None where it raises (changed.runs)."""
        raise NotImplementedError


class Thing(str):
    """What was returned in place of an array, in words."""


def call(function, trial, answer, told=True, guarded=True):
    """The arrays that `function` returns, one for each name in `answer`; or a `Trouble`.

    told     whether an exception is put into words, which takes much longer than to catch it
    guarded  whether it is found out, too, if it writes to read-only arrays, as np.add.at does
    """
    if isinstance(function, Elsewhere):
        result = function.call(trial.args, len(answer))
        return result if isinstance(result, Trouble) else read(result, trial, list(answer))
    arrays = [X for X in tree_leaves(trial.args) if isinstance(X, np.ndarray)] if guarded else []
    before = [X.copy() for X in arrays]
    try:
        result = function(*trial.args)
    except (Exception, SystemExit) as error:  # whatever it is, the learner is told
        if told or "read-only" in str(error):
            return raised(error, function)
        return Trouble("", type(error).__name__)
    finally:
        written = _put_back(arrays, before)
    if written:
        return Trouble(WRITES.format(place=""), "read-only")
    return read(result, trial, list(answer))


def _put_back(arrays, before):
    """Whether an array has changed; it is put back. np.add.at writes to read-only arrays, too."""
    changed = [(X, old) for X, old in zip(arrays, before, strict=True)
               if X.tobytes() != old.tobytes()]
    for X, old in changed:
        X.setflags(write=True)
        X[...] = old
        X.setflags(write=False)
    return bool(changed)


def where(error, filename):
    """", line 12: `return P * dP`", the last line of `filename` that led to the error, or ""."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if frame.filename == filename]
    if isinstance(error, SyntaxError) and error.filename == filename:
        return _line(filename, error.lineno)
    return _line(filename, frames[-1].lineno) if frames else ""


def _line(filename, number):
    text = linecache.getline(filename, number).strip()
    return f", line {number}" + f": `{text}`" * bool(text)


def raised(error, function):
    """The `Trouble` that an exception of a learner's function is."""
    code = getattr(function, "__code__", None)
    place = where(error, code.co_filename) if code else ""
    kind = type(error).__name__
    if isinstance(error, NotImplementedError):
        return Trouble(f"nothing is written yet{place}", kind)
    if isinstance(error, ValueError) and "read-only" in str(error):
        return Trouble(WRITES.format(place=place), "read-only")
    shapes = misfit(error, code.co_filename) if code else ""
    return Trouble(f"{kind}{place}: {shapes or error}", kind)


def read(result, trial, names):
    """The arrays that were returned, or a `Trouble`."""
    found = result if isinstance(result, (tuple, list)) and len(names) > 1 else (result,)
    if result is None:
        return Trouble("it returned None: is the `return` missing?")
    if len(found) != len(names):
        came = f"{len(found)} things" if len(found) > 1 else _described(found[0])
        return Trouble(f"it returned {came}, should be {len(names)}: {', '.join(names)}")
    arrays = []
    for name, X, truth in zip(names, found, trial.truths, strict=True):
        kind = truth.value.dtype.kind
        X = np.asarray(X) if isinstance(X, (np.generic, float, int)) else X
        if not isinstance(X, np.ndarray):
            return Trouble(f"{name} is {_described(X)}, should be an array")
        if X.dtype.kind != kind:
            wanted = {"f": "float32 or float64", "b": "bool"}.get(kind, "integers")
            return Trouble(f"{name} is {X.dtype}, should be {wanted}")
        if kind == "f" and X.dtype.itemsize < 4:
            return Trouble(f"{name} is {X.dtype}, should be float32 or float64")
        arrays.append(np.asarray(X))
    return arrays


def _described(X):
    return X if isinstance(X, Thing) else describe(X)


def close(X, Y):
    """Where X and Y, of one shape, are equal up to rounding in the precision of X."""
    rtol = 1e-4 if X.dtype == np.float32 else 1e-9
    slack = rtol * max(np.abs(Y[np.isfinite(Y)]).max(initial=0.0), 1e-6)
    return (np.abs(X - Y * 1.0) <= slack) | (X == Y) | ((X != X) & (Y != Y))


def alike(found, others):
    """(others, arrays): which arrays of several outcomes are equal to those found."""
    fits = np.zeros((len(others), len(found)), bool)
    for k, X in enumerate(found):
        same = [n for n, other in enumerate(others)
                if not isinstance(other, Trouble) and other[k].shape == X.shape]
        if same:
            Y = np.stack([other[k] for other in (others[n] for n in same)]).reshape(len(same), -1)
            fits[same, k] = _close_rows(X.reshape(-1), Y)
    return fits


def _close_rows(X, rows):
    """Whether X is close to each row."""
    rtol = 1e-4 if X.dtype == np.float32 else 1e-9
    rows = rows * 1.0
    finite = np.where(np.isfinite(rows), np.abs(rows), 0.0)
    slack = rtol * np.maximum(finite.max(axis=1, initial=0.0), 1e-6)[:, None]
    same = (np.abs(X - rows) <= slack) | (X == rows) | ((X != X) & (rows != rows))
    return same.all(axis=1)
