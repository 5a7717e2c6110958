"""Entries of a gradient against the truth, one by one, and the promise that follows.

An entry g passes if it lies no further from the true d than a correct one may:

    e = |g − d|  ≤  t      t = max(rtol · size,  MARGIN · rounding,  UNSURE · error,  u)   (1)

size      the sum of the absolute contributions to d; a sum loses digits in proportion to it
rounding  how far apart two correct results may lie: what another step changes in the truth
error     what the method of the truth is unsure of
u         what it may overlook where f is no analytic code (complex_step.py)

All are measured in the computation at hand. A correct backward rounds differently from the truth,
but not MARGIN = 100 times more.

The promise. Were an entry that passes off by δ more, its error would be |δ| − e at least, which
exceeds t and is reported as soon as

    |δ|  >  t + e + u                                                                  (2)

The largest t + e + u of an array, at most 3 t, is its smallest fault. An entry that no output
depends on, such as a masked key, must be exactly 0, whatever t is.
"""

import numpy as np

from npattn.checking.complex_step import STEP
from npattn.checking.ladder import DOUBLE
from npattn.checking.report import Entry, Row

MARGIN, UNSURE = 100.0, 10.0
POWER = 0.01  # of the gradient's scale: a check that misses faults of this size decides nothing
SMALL = 1e-6  # of the largest entry: below that an entry is judged as if it were so large
TINY = 1e-10  # the same, where it differs from the truth by NEAR of what would show, and its error
NEAR = 0.01
AGREED = 1e-3  # relative: a tiny entry that agrees so well with its truth does not by chance
VANISHING = np.finfo(np.float64).tiny / STEP  # smaller derivatives underflow when multiplied by h


def tolerances(found, rtol, eps):
    """t of (1) for each of the `Derivatives` found, in arithmetic of machine epsilon `eps`."""
    noise = np.maximum(UNSURE * found.error, MARGIN * found.rounding)
    noise = np.maximum(noise, found.unseen)
    return np.maximum(max(rtol, MARGIN * eps) * found.size, noise)


def smallest_faults(error, tolerance, found):
    """(n,) t + e + u of (2). An error above its tolerance is reported, and counts as that."""
    return tolerance + np.fmin(error, tolerance) + found.unseen


def compare(found, got, chosen, name, tolerance, eps=DOUBLE):
    """Judge the entries of `got` at the flat indices `chosen` (m,).

    found, tolerance  the `Derivatives` (m,) that they should be, and t (m,)
    name              turns an index into words; name(()) names the array
    eps               the machine epsilon of the arithmetic

    Returns a `Row`, and one sentence about what is wrong, if anything is: [] or [sentence].
    """
    values = got.ravel()[chosen].astype(np.float64)
    error = np.abs(values - found.value)
    must_be_zero, faults = ~found.moves, smallest_faults(error, tolerance, found)
    wrong = ~(error <= tolerance) | (must_be_zero & ~(np.abs(values) < VANISHING))
    want = np.full(got.size, np.nan)
    want[chosen] = found.value
    row = Row(
        path=name(()), checked=chosen.size, total=got.size, worst=None,
        smallest_fault=float(faults.max(initial=0.0)), passed=not wrong.any(),
        got=got, want=want.reshape(got.shape),
    )
    if not chosen.size:
        return row, []
    scale = natural_scale(found, eps)
    own = np.maximum(np.abs(found.value), found.size)
    doubtful = np.maximum(NEAR * faults, found.error)
    far = error > np.maximum(doubtful, AGREED * np.abs(found.value))
    judged_as = np.maximum(own, np.where(far, TINY, SMALL) * scale)
    blind = faults > POWER * judged_as
    if blind.any():
        i = np.argmax(np.where(blind, faults / judged_as, 0.0))
        index = tuple(int(j) for j in np.unravel_index(chosen[i], got.shape))
        many = f" ({blind.sum()} such entries)" * bool(blind.sum() > 1)
        row = row._replace(doubt=(
            f"{name(index)}: a fault below {faults[i]:.1e} would not show, and the gradient itself "
            f"is {found.value[i]:.1e}{many}"
        ))
    ranked = np.flatnonzero(wrong) if wrong.any() else np.arange(chosen.size)
    i = ranked[np.argmax(np.nan_to_num(error[ranked], nan=np.inf))]
    index = tuple(int(j) for j in np.unravel_index(chosen[i], got.shape))
    relative = float(error[i] / scale)
    worst = Entry(name(index), index, float(values[i]), float(found.value[i]), relative)
    row = row._replace(worst=worst)
    if not wrong.any():
        return row, []
    sentence = str(worst)
    if must_be_zero[i]:
        sentence = f"{worst.where} is {worst.got:.3g}, must be exactly 0: no output depends on it"
    return row, [sentence + _others(values, found.value, wrong)]


def natural_scale(found, eps=DOUBLE):
    """The largest |value|, or where all are 0 up to rounding, the numbers that cancelled."""
    largest = np.abs(found.value).max(initial=0.0)
    rounding = np.max(found.rounding, initial=0.0)
    doubt = max(rounding, found.error.max(initial=0.0))
    return float(largest if largest > MARGIN * doubt else max(largest, rounding / eps) or 1.0)


def _others(got, want, wrong):
    """How many more are wrong, and whether all of them by one factor."""
    if wrong.sum() == 1:
        return ""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = got[wrong] / want[wrong]
    same = np.isfinite(ratios).all() and np.ptp(ratios) < 1e-6 * np.abs(ratios).max()
    return f"; {wrong.sum()} of {wrong.size} entries are wrong" + ", all by this ratio" * bool(same)
