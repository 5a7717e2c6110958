"""One random direction for all entries at once: the check for large models.

Weights s_i = ±(0.5 … 1.5) are drawn for all entries of all gradients g_i. One complex forward gives
the derivative along s, which must be what the gradients make it:

    | Σ s_i g_i  −  Im Σ dY·F(X + i h s) / h |  ≤  t

A fault δ in any one entry moves the left side by |δ|/2 at least: one above 2 (t + e) is seen.
Two real forwards around X witness the complex one; what they cannot tell is added to t.
"""

from typing import NamedTuple

import numpy as np

from npattn.checking.complex_step import STEP, shortening
from npattn.checking.derivatives import random_weights
from npattn.checking.entries import MARGIN
from npattn.checking.ladder import DOUBLE

REAL_STEP = 2.0**-18
BELIEVED = 1e-6  # relative to the contributions: so well must real and complex forwards agree


class Sum(NamedTuple):
    """How far the sum over all entries is from its truth, what it may be, and its contributions."""

    gap: float
    tolerance: float
    size: float


def along_all(F, leaves, dY, gradients, rng):
    """The `Sum`, or None where the complex step is not believed.

    leaves     float64 arrays
    gradients  what should be ∂(dY·F)/∂leaves
    """
    ways = [random_weights(leaf.shape, rng) for leaf in leaves]

    def at(t):
        return F([leaf + t * way for leaf, way in zip(leaves, ways, strict=True)])

    try:
        h = STEP * min(map(shortening, leaves))
        slopes = at(1j * h).imag / h
        above, below = at(REAL_STEP), at(-REAL_STEP)
    except Exception:  # f does not take complex numbers, or is not defined close by
        return None
    change = dY @ (above - below) / (2 * REAL_STEP)
    terms = np.concatenate([(way * g).ravel() for way, g in zip(ways, gradients, strict=True)])
    size = np.abs(dY * slopes).sum() + np.linalg.norm(terms)
    want, noise = dY @ slopes, DOUBLE * np.linalg.norm(dY * above) / REAL_STEP
    doubt = abs(change - want)
    if not doubt <= BELIEVED * size + MARGIN * noise or noise > BELIEVED * size:
        return None
    return Sum(abs(terms.sum() - want), 2 * max(doubt, noise), size)
