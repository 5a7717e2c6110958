"""One gradient array against the truth: entry by entry, or a sample and then all entries at once.

Entry by entry, (1) of entries.py decides, and its (2) is the promise. The noise in (1) is at least

    scatter   what a nudge to the last bits of dY changes in the gradient

since a backward may round more coarsely than the truth, which is computed another way. It is
measured, and counted TIMES times.

The random test. Where only a sample of the n entries is compared, weights s_i = ±(0.5 … 1.5) are
drawn, and the derivative along s, which is a single measurement, must be what all entries make it:

    | Σ s_i g_i  −  Σ s_i d_i |  ≤  t                                                  (3)

A fault δ in any one entry moves the left side by at least |δ|/2, so (2) holds, twice as large, for
entries never looked at. Two exchanged entries do not cancel, as they may under signs alone.
Faults δ_i in several move it by Σ s_i δ_i, with mean square Σ δ_i² over the signs: only by rare
luck do they cancel. Roundings add up in the same way, so the noise of the sum is √n that of an
entry. Where (3) fails, bisection leads to an entry to look at.

At a kink there is no derivative: such an entry is not compared, and is said not to be; nor does (3)
say anything of an array that has one.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from npattn.checking.derivatives import UnitDirections, envelope, random_weights
from npattn.checking.entries import (
    MARGIN, POWER, compare, natural_scale, smallest_faults, tolerances,
)
from npattn.checking.report import Row

TIMES = 10.0
JUMP = 1e-6  # of the largest entry, and at least so many epsilons of it
EPSILONS = 1e4


class Outcome(NamedTuple):
    """What was found about one gradient array."""

    row: Row
    wrong: list  # sentences about entries that are wrong
    kinks: list  # sentences about entries without a derivative


def check_leaf(truth, k, got, name, *, scatter, rtol, eps, rng, max_entries):
    """The `Outcome` for `got`, the gradient of leaf k, against `truth.measure(k, directions)`.

    name         turns an index into words; name(()) names the array
    scatter      as above, in the precision that the backward ran in
    eps          the machine epsilon of that precision
    max_entries  the size of the sample; None compares every entry
    """
    leaf = Leaf(truth, k, got, name, scatter, rtol, eps)
    if max_entries is None or max_entries >= got.size:
        everything = np.arange(got.size)
        return leaf.judge(everything, leaf.entries(everything))
    chosen = np.sort(rng.choice(got.size, max_entries, replace=False))
    signs = random_weights(got.size, rng)
    return _judge_all_at_once(leaf, chosen, signs)


class Leaf(NamedTuple):
    """A gradient array, and what it takes to judge it."""

    truth: object
    k: int
    got: np.ndarray
    name: Callable
    scatter: np.ndarray  # shaped like got
    rtol: float
    eps: float

    def entries(self, chosen):
        """The `Derivatives` along single entries, given by their flat indices (m,)."""
        found = self.truth.measure(self.k, UnitDirections(self.got.shape, chosen))
        size = np.nan_to_num(found.size)
        scatter = self.scatter.ravel()[chosen]
        # A jump is no rounding, and says nothing of other entries: s < 1 at s = 1.
        jumps = scatter > max(JUMP, EPSILONS * self.eps) * np.abs(self.got).max(initial=0.0)
        noise = np.fmax(envelope(np.where(jumps, 0.0, scatter), size), scatter)
        noise *= TIMES / MARGIN
        return found._replace(rounding=np.maximum(found.rounding, noise))

    def along(self, signs):
        """Both sums of (3): the number that `got` makes it, and the `Derivatives` it should be."""
        total = self.got.ravel().astype(np.float64) @ signs
        found = self.truth.measure(self.k, [signs.reshape(self.got.shape)])
        noise = TIMES / MARGIN * self.scatter.max(initial=0.0)
        return total, found._replace(rounding=np.maximum(found.rounding, noise))

    def judge(self, chosen, found):
        """The `Outcome` for `chosen` entries, which in truth are what was `found`."""
        known = np.isfinite(found.value) & np.isfinite(found.error)
        kinks, unknown = chosen[known & ~found.smooth], chosen[~known]
        usable = known & found.smooth
        tolerance = tolerances(found.among(usable), self.rtol, self.eps)
        row, wrong = compare(
            found.among(usable), self.got, chosen[usable], self.name, tolerance, self.eps
        )
        if unknown.size:
            row = row._replace(doubt=self._words(
                unknown, "no derivative could be measured, no step gave finite numbers"
            ))
        sentences = [self.kink(kinks)] if kinks.size else []
        if sentences and not row.doubt:
            row = row._replace(doubt=sentences[0])
        return Outcome(row, wrong, sentences)

    def kink(self, chosen):
        """A sentence about the entries that are at kinks."""
        return self._words(
            chosen, "no derivative here, the slopes to both sides differ; move the input"
        )

    def _words(self, chosen, sentence):
        index = np.unravel_index(chosen[0], self.got.shape)
        count = f" ({chosen.size} such entries)" * (chosen.size > 1)
        return f"{self.name(tuple(map(int, index)))}: {sentence}{count}"


def _judge_all_at_once(leaf, chosen, signs):
    """The `Outcome` for all entries by (3), and for the flat indices `chosen` by (1)."""
    total, whole = leaf.along(signs)
    [smooth], [want] = whole.smooth, whole.value

    def gap(some):
        """How far (3) is from holding for some of the entries, or how sharp their kink is."""
        total, found = leaf.along(some)
        return abs(total - found.value[0]) if smooth else found.kink[0]

    found = leaf.entries(chosen)
    if not np.isfinite(want):
        outcome = leaf.judge(chosen, found)
        words = "along random weights of all entries no derivative could be measured"
        doubt = outcome.row.doubt or f"{leaf.name(())}: {words}"
        return outcome._replace(row=outcome.row._replace(smallest_fault=np.inf, doubt=doubt))
    rounding = np.sqrt(signs.size) * np.max(found.rounding)
    noise = max(leaf.eps * np.linalg.norm(leaf.got), rounding, np.max(whole.rounding))
    [tolerance] = tolerances(whole._replace(rounding=noise), leaf.rtol, leaf.eps)
    error = abs(total - want)
    if smooth and error <= tolerance:
        row, wrong, kinks = leaf.judge(chosen, found)
    else:
        at = _bisection(signs, gap)
        chosen = np.union1d(chosen, at)
        row, wrong, kinks = leaf.judge(chosen, leaf.entries(chosen))
        if not smooth:
            kinks = kinks or [leaf.kink(at)]
        elif not kinks:
            wrong = wrong or [
                f"the entries of {leaf.name(())}, added with random weights, give {total:.9g}, "
                f"should be {want:.9g}"
            ]
    unseen = np.inf if kinks else 2 * float(smallest_faults(error, tolerance, whole).max())
    row = row._replace(smallest_fault=max(row.smallest_fault, unseen), passed=not wrong)
    scale = natural_scale(whole._replace(value=leaf.got), leaf.eps)
    if not row.doubt and row.smallest_fault > POWER * scale:
        row = row._replace(doubt=(
            f"{leaf.name(())}: a fault below {row.smallest_fault:.1e} in one entry would not show, "
            f"and the largest is {scale:.1e}"
        ))
    return Outcome(row, wrong, kinks)


def _bisection(signs, gap):
    """The flat index (1,) of one entry: of two halves, follow the one with the larger gap.

    gap  takes signs (n,) of which some have been set to 0
    """

    def gap_in(half):
        some = np.zeros_like(signs)
        some[half] = signs[half]
        return np.nan_to_num(gap(some), nan=np.inf)

    suspects = np.arange(signs.size)
    while suspects.size > 1:
        suspects = max(np.array_split(suspects, 2), key=gap_in)
    return suspects
