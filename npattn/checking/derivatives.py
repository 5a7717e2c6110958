"""What a method of differentiation reports, whichever it is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Derivatives(NamedTuple):
    """The derivatives of a weighted sum of outputs along n directions, and how well known."""

    value: np.ndarray  # (n,)
    size: np.ndarray   # (n,) sum of the absolute contributions that were added to give value
    error: np.ndarray  # (n,) estimated error of value, beyond rounding
    moves: np.ndarray  # (n,) False where it is certain that no output depends on the direction
    rounding: object   # (n,) or one number: how far apart equally good results may lie
    kink: np.ndarray | None = None  # (n,) by how much the slopes to both sides differ; None: 0
    unseen: object = 0.0  # (n,) what it may overlook in value where F is no analytic code

    @property
    def smooth(self):
        """(n,) False where the slopes to both sides differ, so that there is no derivative."""
        return np.full(self.value.shape, True) if self.kink is None else self.kink == 0.0

    def among(self, chosen):
        """The same for those of the directions that `chosen`, indices or a mask, picks."""
        arrays = {name: X[chosen] for name, X in self._asdict().items() if np.ndim(X)}
        return self._replace(**arrays)


def envelope(noise, size):
    """(n,) the largest noise of any entry that is not more than 1,000 times as large.

    Rounding measured at some entries holds for others of their size; a small entry does not
    inherit the rounding of one that is far larger.
    """
    order = np.argsort(size)
    upto = np.maximum.accumulate(noise[order]) if noise.size else noise
    last = np.searchsorted(size[order], 1e3 * size, side="right") - 1
    return upto[np.maximum(last, 0)] if noise.size else noise


def span(leaf, directions):
    """(n,) the mean size of the entries of a leaf that each of n directions moves."""
    if isinstance(directions, UnitDirections):
        return np.nan_to_num(np.abs(leaf.ravel()[directions.indices]))
    sizes = np.nan_to_num(np.abs(leaf))
    return np.array([sizes[v != 0.0].mean() if v.any() else 0.0 for v in directions])


def random_weights(shape, rng):
    """± 0.5 … 1.5: signs alone would make contributions cancel, or two draws alike, far too often.
    """
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)


class UnitDirections(Sequence):
    """The directions of single entries: arrays of `shape`, 1 at one flat index and 0 elsewhere."""

    def __init__(self, shape, indices):
        self.shape, self.indices = shape, indices

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, i):
        direction = np.zeros(self.shape)
        direction.flat[self.indices[i]] = 1.0
        return direction
