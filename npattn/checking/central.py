"""Derivatives by central differences, each with an estimate of its error.

The fallback for functions that do not take complex numbers. SciPy halves the step of a formula of
eighth order until two estimates agree; their difference estimates the error. How closely they can
agree at all is measured: by how much the function wobbles under steps too small to matter.

At a kink, as relu has one at 0, they agree on the mean of two slopes, and are no derivative. It
shows in how much the slopes to both sides differ,

    | (F(X + h v) − F(X)) / h  −  (F(X) − F(X − h v)) / h |

which shrinks with h where F is smooth, grows where it is rounding, and stays only at a kink.
Needs SciPy 1.15, the first with scipy.differentiate.
"""

import numpy as np

from npattn.checking.derivatives import Derivatives

FIRST_STEP = 1 / 64  # in units of `bend`
NO_STEP = 1e-14      # in the same units: what this changes is rounding
AGREED = 1e-11       # relative
FAR, NEAR = 2.0**-10, 2.0**-20  # from one of these steps to the other, a kink stays
DOUBLE = np.finfo(np.float64).eps


class CentralDifference:
    """Derivatives of Σ dY·F(leaves), where F returns one vector (m,) and dY (m,) weighs it."""

    name = "central differences"

    def __init__(self, F, leaves, dY):
        self.F, self.dY = F, np.asarray(dY, np.float64)
        self.leaves = [leaf.astype(np.float64) for leaf in leaves]
        self.Y = F(self.leaves)

    def measure(self, k, directions):
        """`Derivatives` along each of `directions`, arrays shaped like leaf k."""
        unit = bend(self.leaves[k])

        def rise(t, i):
            moved = list(self.leaves)
            moved[k] = moved[k] + t * unit * directions[int(i)]
            return self._rise(moved)

        value, error, kink, wobble = self._derivative(rise, np.arange(float(len(directions))))
        size = np.abs(value) / unit
        rounding = max(wobble / unit, DOUBLE * size.max(initial=0.0))
        moves = np.full(len(value), True)
        return Derivatives(value / unit, size, error / unit, moves, rounding, kink / unit)

    def along(self, directions):
        """(value, error) where all leaves move at once, each along its own direction."""
        unit = min(bend(leaf) for leaf in self.leaves)

        def rise(t, _):
            pairs = zip(self.leaves, directions, strict=True)
            return self._rise([leaf + t * unit * v for leaf, v in pairs])

        [value], [error], *_ = self._derivative(rise, np.zeros(1))
        return value / unit, error / unit

    def _rise(self, moved):
        # Subtracted output by output: an output that does not move contributes exactly nothing.
        return self.dY @ (self.F(moved) - self.Y)

    def _derivative(self, rise, which):
        """d rise(t, i) / dt at t = 0 for each i in `which`, the errors, the kinks (0 where there is
        none), and the wobble of rise.
        """
        from scipy.differentiate import derivative  # here, because it is slow to import

        rise = np.vectorize(rise, otypes=[np.float64])
        if not which.size:
            return which, which, which, 0.0
        still = np.abs([rise(t, which) for t in (-NO_STEP, NO_STEP)]).max()
        wobble = max(still, DOUBLE * np.linalg.norm(self.dY * self.Y))
        result = derivative(
            rise,
            np.zeros(which.size),
            args=(which,),
            initial_step=FIRST_STEP,
            step_factor=2.0,
            tolerances={"rtol": AGREED, "atol": 4 * wobble / FIRST_STEP},
        )
        # Two estimates can agree by chance, but not be better than the wobble over the last step.
        known = wobble * 2.0**result.nit / FIRST_STEP + AGREED * np.abs(result.df)
        far, near = (np.abs(rise(h, which) + rise(-h, which)) / h for h in (FAR, NEAR))
        stays = (near > far / 8) & (near < 8 * far) & (near > 1e3 * wobble / NEAR)
        return result.df, np.maximum(result.error, known), np.where(stays, near, 0.0), wobble


def bend(leaf):
    """A length over which functions of the leaf bend: 1, as exp does, but less for tiny entries."""
    finite = leaf[np.isfinite(leaf)]
    size = np.sqrt(np.mean(finite**2)) if finite.size else 0.0
    return min(float(size) ** 0.5, 1.0) or 1.0
