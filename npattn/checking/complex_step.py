"""Derivatives by the complex step: exact to the last bits, and why.

For a step h along direction v, Taylor's series at a real point X has the terms

    F(X + i h v)  =  F(X)  +  i h F'(X) v  −  h²/2 F''(X) v v  −  ...
                     real     imaginary       real

so the derivative stands alone in the imaginary part, and Im F(X + i h v) / h misses it by order h².
A difference quotient subtracts two nearly equal numbers, and loses more digits the smaller its
step; nothing is subtracted here. With h = 2⁻⁶⁶ the remainder is of order 10⁻⁴⁰, far below double
rounding, and what is left is the rounding of F's own arithmetic.

F must be analytic code: np.abs, conjugation and casts to real drop or spoil the imaginary part.
That is found out (`refusal`), not assumed, and in two ways. Differences of real numbers must give
the same slopes. And in whatever else F does with z, its conjugate takes no part: to first order
F(X + z v) = F(X) + A z + B z̄, the true slope is A + B, the complex step sees A − B, and

    B  =  (1/N) Σ_k F(X + z_k v) z_k / r²          z_k = r exp(2πi k/N),  N = 16

averages everything analytic away but the power z^15. It is exact to rounding at a radius r that is
no small number, so that a forgotten 1e-10 |w| is seen. F(z̄) is the conjugate of F(z), so that half
of the circle is enough.
Source: Squire and Trapp 1998, "Using complex variables to estimate derivatives of real functions".
"""

import warnings
from itertools import cycle

import numpy as np

from npattn.checking.derivatives import Derivatives, envelope, span
from npattn.checking.ladder import AGREED, DOUBLE, units

STEP = 2.0**-66
TINY_ENTRY, TINIEST = 2.0**-33, 2.0**-400  # entries between them have a step that is less, too
OTHER_STEPS = (0.7 * STEP, 1.3 * STEP)  # no powers of two: the same derivative, rounded otherwise
HALF_CIRCLE = np.exp(1j * np.pi * np.arange(9) / 8)
SHARES = np.array([1, *[2] * 7, 1]) / 16  # of each of its points in the average over the whole
RADII = 2.0 ** -np.arange(4.0, 34.0, 3.0)  # in parts of each entry
ROUNDINGS = 16.0  # of an output: so much does an average over the circle show at most
LONG_MOVES = (np.nan, 0.37, -1.9e5, 5.3e10)  # what cancels in exact arithmetic leaves rounding here
RESAMPLED = 6
BLOCK = 2**20  # so many slopes are held at once
CONFIRMED = 1e-4  # relative to slope and output: a less certain difference is no witness
MOST_UNSEEN = 1e-10  # relative to the contributions: a part of F below that is no gradient's
TINY = 1e-280
MOST_ABSORBED = 1e-10  # relative to the contributions: digits that F itself has lost here
NOTHING = 1e-50  # relative to the usual slope: no digits of it are left in a sum with the others


class ComplexStep:
    """Derivatives of Σ dY·F(leaves), where F returns one vector (m,) and dY (m,) weighs it.

    Y    (m,)  F at the leaves themselves, in real arithmetic
    eps  for each leaf, the machine epsilon of the arithmetic that F really uses; None: double
    """

    name = "complex step"

    def __init__(self, F, leaves, dY, Y, eps=None):
        self.F, self.Y, self.dY = F, Y, np.asarray(dY, np.float64)
        self.eps = eps or [DOUBLE] * len(leaves)
        self.unseen = np.zeros(np.shape(Y))
        self.noise = DOUBLE * np.abs(np.asarray(Y))  # of each output: how much of it is rounding
        self.real = [leaf.astype(np.float64) for leaf in leaves]
        self.leaves = [leaf.astype(np.complex128) for leaf in leaves]
        self.shorter = [*map(shortening, self.real)]

    def measure(self, k, directions):
        """`Derivatives` along each of `directions`, arrays shaped like leaf k."""
        count = len(directions)
        value, size, absorbed, unseen = np.zeros((4, count))
        moves, lengths = np.full(count, True), span(self.real[k], directions)
        typical = _size(units(self.real[k])) or 1.0
        step = BLOCK // max(1, self.Y.size) + 1
        for start in range(0, count, step):
            some = np.arange(start, min(count, start + step))
            slopes = np.array([self._slopes(k, directions[i]) for i in some])
            terms, changed = self.dY * slopes, slopes != 0.0
            value[some], size[some] = terms.sum(axis=1), np.abs(terms).sum(axis=1)
            for i in np.flatnonzero(~changed.any(axis=1)):
                changed[i] = self._shows(k, directions[some[i]])
            moves[some] = changed.any(axis=1)
            # What an entry far above 1 has to do with outputs is small beside them.
            per = 1 / (np.maximum(changed.sum(axis=1), 1) * np.maximum(1.0, lengths[some]))
            lost = DOUBLE * (changed @ np.abs(self.dY * self.Y)) * per
            noise = (changed @ np.abs(self.dY * self.noise)) * per
            absorbed[some] = np.maximum(lost, np.minimum(noise, MOST_ABSORBED * size[some]))
            unseen[some] = np.max(self.unseen * changed, axis=1, initial=0.0) / typical
        # Rounding, measured: other steps at the largest values and at a spread of the rest.
        picks = np.argsort(-np.abs(value))[:: len(value) // RESAMPLED + 1]
        drift = np.zeros(len(value))
        for i, h in zip(picks, cycle(OTHER_STEPS)):
            drift[i] = abs(self.dY @ self._slopes(k, directions[i], h) - value[i])
        nothing = np.full_like(size, NOTHING * size.max(initial=0.0))
        rounding = np.max([absorbed, DOUBLE * size, envelope(drift, size), nothing], axis=0)
        unseen = np.minimum(unseen, MOST_UNSEEN * size)
        return Derivatives(value, size, np.zeros_like(value), moves, rounding, unseen=unseen)

    def refusal(self, witness, directions):
        """Why F cannot be differentiated this way, or None if it can.

        witness     `Slopes` of every output by differences
        directions  along which they were measured, one for each leaf; all leaves move at once
        """
        moved = [leaf + 1j * STEP * v for leaf, v in zip(self.leaves, directions, strict=True)]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                Y = self.F(moved)
        except np.exceptions.ComplexWarning:
            return "f drops the imaginary part"
        except Exception as error:  # whatever f raises on numbers that it was not written for
            words = (str(error).splitlines() or [""])[0]
            return f"f does not take complex numbers ({words or type(error).__name__})"
        if not np.iscomplexobj(Y):
            return "f drops the imaginary part"
        slopes = Y.imag / STEP
        if not np.isfinite(slopes).all():
            return "f's complex arithmetic gives NaN or inf"
        # NaN passes no comparison: what differences cannot see is not believed either.
        usual = np.abs(slopes).mean() if slopes.size else 0.0  # a bit of it is rounding anywhere
        error = witness.error + AGREED * np.abs(slopes) + DOUBLE * usual
        seen = witness.error <= CONFIRMED * (np.abs(slopes) + np.abs(self.Y)) + TINY
        if not seen.all():
            return "differences around X cannot confirm the complex step"
        gap = np.abs(slopes - witness.value)
        if not (gap <= 30 * error + TINY).all():
            i = np.argmax(gap / (error + TINY))
            words = f"slope {slopes[i]:.6g}, by differences {witness.value[i]:.6g}"
            return f"f is not analytic code or has a kink here ({words})"
        # Along v and along v with every other sign turned: parts that cancel in one do not in both.
        self.noise = noise = witness.noise + DOUBLE * np.abs(self.Y)
        most, radii = 0.0, RADII
        for way in (directions, [*map(_every_other, directions)]):
            part, doubt, radii = self._conjugate(way, noise, radii)
            if (part > 8 * doubt + NOTHING * usual + TINY).any():
                i = np.argmax(part / (doubt + TINY))
                return (
                    f"f is not analytic code ({part[i]:.2g} of slope {slopes[i]:.2g} of conjugates)"
                )
            most = np.maximum(most, part + doubt)
        self.unseen = 2 * np.abs(self.dY) * np.fmin(2 * most, 30 * error)
        return None

    def _conjugate(self, directions, noise, radii):
        """|B| of each output (m,), and how large it may be by rounding, at the radius that tells
        most: at a larger one F bends too much or is not defined, at a smaller one digits are lost.
        And those of `radii` that are worth another look: from where an output shows rounding only.
        """
        part, doubt = np.full((2, *self.Y.shape), np.inf)
        worth = radii
        for r in radii:
            turned = np.zeros(self.Y.shape)
            try:
                with np.errstate(all="ignore"):
                    for z, share in zip(HALF_CIRCLE, SHARES, strict=True):
                        pairs = zip(self.leaves, directions, strict=True)
                        turned += share * (z * self.F([leaf + r * z * v for leaf, v in pairs])).real
            except Exception:  # outside F's domain
                continue
            here, unsure = np.abs(turned) / r, ROUNDINGS * noise / r
            better = here + unsure < part + doubt
            part, doubt = np.where(better, here, part), np.where(better, unsure, doubt)
            if worth is radii and (here <= unsure).any():
                worth = radii[radii <= r]
            if (here <= unsure).all() or (part < doubt).all():
                break
        return part, doubt, worth

    def _slopes(self, k, direction, h=STEP):
        """The derivative of each output (m,) as leaf k moves along `direction`."""
        h = h * self.shorter[k]
        return self._moved(self.leaves, k, 1j * h * direction).imag / h

    def _shows(self, k, direction):
        """(m,) whether long real moves, or NaN in this entry, change any bit of each output.

        Slopes alone do not tell: they can cancel to exactly 0 by luck, or be 0 only at this place.
        Nor do moves: softmax over one key is 1 wherever the query is, and yet it is computed.
        """
        for length in LONG_MOVES:
            by = np.where(direction != 0.0, length * direction, 0.0)
            try:
                Y = self._moved(self.real, k, by)
            except Exception:  # f looks at this entry, and does not like what it finds
                return np.full(self.Y.shape, True)
            changed = np.isnan(Y) if np.isnan(length) else Y != self.Y
            if changed.any():
                return changed
        return np.full(self.Y.shape, False)

    def _moved(self, leaves, k, by):
        """The outputs at `leaves`, of which leaf k has moved."""
        return self.F([leaf + by if i == k else leaf for i, leaf in enumerate(leaves)])


def shortening(leaf):
    """A power of two for the step: 1, or less where the leaf has entries that it would not be small
    beside.
    """
    small = np.abs(leaf[np.abs(leaf) > TINIEST]).min(initial=1.0)
    return 1.0 if small > TINY_ENTRY else 2.0 ** np.floor(np.log2(small))


def _every_other(X):
    """X with every other sign turned."""
    return X * (-1.0) ** np.arange(X.size).reshape(X.shape)


def _size(X):
    """The root of the mean square of the entries."""
    return float(np.sqrt(np.mean(X * X))) if X.size else 0.0
