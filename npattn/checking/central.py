"""Derivatives by central differences, each with an estimate of its error: the page ladder.py.

The way for functions that do not take complex numbers. An output that does not move contributes
exactly nothing, and its rounding counts for nothing.
"""

import numpy as np

from npattn.checking.derivatives import Derivatives, random_weights
from npattn.checking.ladder import DOUBLE, FAR, FIRST_STEP, bend, ladder, units

LONG_MOVES = (-1.9e5, 5.3e10)
SMALL = 1e-3  # relative: an entry below it is looked at from close by
UNSURE = 1e-6  # relative: an error above it asks for a look from closer by


class CentralDifference:
    """Derivatives of Σ dY·F(leaves), where F returns one vector (m,) and dY (m,) weighs it.

    eps  for each leaf, the machine epsilon of the arithmetic that F really uses; None: double
    """

    name = "central differences"

    def __init__(self, F, leaves, dY, eps=None):
        self.F, self.dY = F, np.asarray(dY, np.float64)
        self.leaves = [leaf.astype(np.float64) for leaf in leaves]
        self.eps = eps or [DOUBLE] * len(leaves)
        self.Y = F(self.leaves)

    def measure(self, k, directions):
        """`Derivatives` along each of `directions`, arrays shaped like leaf k."""
        leaf, least = self.leaves[k], bend(self.leaves[k])
        found, shows = np.zeros((3, len(directions))), np.full(len(directions), True)
        for i, v in enumerate(directions):
            sizes = np.abs(leaf[(v != 0) & np.isfinite(leaf)])
            own, smallest = sizes.max(initial=0.0), sizes[sizes > 0.0].min(initial=np.inf)
            unit = max(least, own)

            def moved(t, v=v):
                return {k: leaf + t * v}

            found[:, i] = self._slope(moved, unit, self.eps[k])
            if 0.0 < own < unit:
                found[:, i] = self._closer(found[:, i], moved, own, k)
            if smallest < min(own, SMALL * unit):  # steps of others pass over the small entry
                nearby = self._slope(moved, smallest, self.eps[k])
                apart = abs(nearby[0] - found[0, i]) > 10 * (nearby[1] + found[1, i])
                found[:, i] = nearby if apart else found[:, i]
            shows[i] = self.shown
        value, error, kink = found
        size = np.abs(value)
        # What saturates, as 1 + exp(-40) does, has a derivative that its digits do not show.
        hidden = shows & (value == 0.0)
        largest = np.nan_to_num(size, nan=0.0, posinf=0.0).max(initial=0.0)
        rounding = np.maximum(self.eps[k] * size, DOUBLE * largest * hidden)
        return Derivatives(value, size, error, np.full(len(value), True), rounding, kink)

    def _closer(self, found, moved, unit, k):
        """value, error, kink by shorter steps, where those at hand leave doubts and these do not.

        A kink may be as far away as 0 is.
        """
        value, error, kink = found
        if not kink and error <= UNSURE * abs(value):
            return found
        closer = self._slope(moved, unit, self.eps[k])
        if kink:
            return closer if closer[1] <= error or not closer[2] else found
        agree = abs(closer[0] - value) <= 10 * (closer[1] + error)
        knows_nothing = error > abs(value)
        agree |= knows_nothing and closer[1] <= UNSURE * abs(closer[0])
        return closer if closer[1] <= error and agree else found

    def along(self, directions):
        """(value, error) where all leaves move at once, each along its own direction."""
        unit = min(map(bend, self.leaves))

        def moved(t):
            pairs = zip(self.leaves, directions, strict=True)
            return {i: leaf + t * v for i, (leaf, v) in enumerate(pairs)}

        return self._slope(moved, unit, max(self.eps))[:2]

    def each(self, rng):
        """(`Slopes` of every output, directions): all leaves move at once by parts of each entry.

        Random magnitudes: along random signs alone, contributions cancel to 0 far too often.
        """
        directions = [units(leaf) * random_weights(leaf.shape, rng) for leaf in self.leaves]

        def change(t):
            return self.F([a + t * v for a, v in zip(self.leaves, directions)]) - self.Y

        return ladder(change, 1.0, max(self.eps) * np.abs(self.Y)), directions

    def _slope(self, moved, unit, eps):
        """value, error, kink of Σ dY·F as the leaves that moved(t) gives take the place
        of their own.
        """

        def change(t):
            at = moved(t)
            return self.F([at.get(i, leaf) for i, leaf in enumerate(self.leaves)]) - self.Y

        def moves(t):
            with np.errstate(invalid="ignore"):
                return change(t) != 0.0

        try:
            moving = moves(FAR * unit) | moves(FIRST_STEP * unit)
            if not moving.all():  # saturated, perhaps, and not independent
                moving |= np.any([moves(t) for t in LONG_MOVES], axis=0)
        except Exception:  # outside F's domain, so that all may move
            moving = np.full(self.Y.shape, True)
        self.shown = moving.any()  # far away at least
        largest = np.abs(self.Y).max(initial=0.0) or 1.0
        noise = eps * largest * np.linalg.norm((self.dY * (self.Y / largest))[moving])
        # Subtracted output by output: an output that does not move contributes exactly nothing.
        slope = ladder(lambda t: np.array([self.dY @ change(t)]), unit, np.array([noise]))
        return slope.value[0], slope.error[0], slope.kink[0]
