"""One array of a wrong answer beside what it should be, and what all symptoms ask of it."""

from typing import NamedTuple

import numpy as np

from npattn.exercises.answers import close
from npattn.exercises.derived import stated_shapes


class Case(NamedTuple):
    """One array of the answer in one case."""

    name: str
    title: str         # what is special about the case
    words: list        # for the last axes
    got: np.ndarray
    want: np.ndarray
    off: object        # bool, where the grader calls it wrong; None where the shape is wrong
    others: dict       # {name: what another array of the answer should be}
    inputs: dict       # {name: value}
    lengths: dict      # {name in the statement: length or number}
    doubled: object    # what comes where the upstream gradient is doubled; None if not to be asked
    made: object = dict  # () -> {name: what the solution makes on its way}

    @property
    def shaped(self):
        return self.got.shape == self.want.shape

    @property
    def wrong(self):
        return ~close(self.got, self.want) if self.off is None else self.off

    @property
    def real(self):
        """Whether it holds numbers, of which there are ratios and differences."""
        return self.want.dtype.kind == "f"


def lengths_of(exercise, inputs):
    """{"Tq": 3, "rate": 0.5, ...}: lengths and numbers by the names of the statement."""
    shapes, found = stated_shapes(exercise), {}
    for key, value in inputs.items():
        short = key.split(".")[-1].split("[")[0]
        if np.ndim(value) == 0 and isinstance(value, (int, float, np.number, np.ndarray)):
            if np.asarray(value).dtype.kind in "if":
                found[short] = np.asarray(value).item()
        axes = [axis for axis in shapes.get(short, "").split() if axis != "..."]
        if isinstance(value, np.ndarray) and len(axes) <= value.ndim and axes:
            found.update(zip(axes, value.shape[value.ndim - len(axes) :], strict=True))
    return found


def forbids(key, X, dead=False):
    """Whether an input is a mask, or weights, with a key (or with `dead` a row) left out."""
    if not isinstance(X, np.ndarray) or not X.ndim:
        return False
    weights = key.split(".")[-1].split("[")[0] in ("P", "Pa", "Pb") or X.dtype == bool
    return weights and bool(((X == 0).all(axis=-1) if dead else X == 0).any())


def all_are(cases, make):
    """Whether in every case the numbers are those that `make` makes of it; None is nothing."""
    pairs = [(case.got, make(case)) for case in cases]
    return all(Y is not None and X.shape == Y.shape and close(X, Y).all() for X, Y in pairs)


def sums_to_one(X, axis):
    """Whether weights sum to 1 along `axis`, or are all 0."""
    sums = X.sum(axis=axis)
    return bool(((np.abs(sums - 1.0) < 1e-6) | (np.abs(sums) < 1e-9)).all() and (X >= 0.0).all())
