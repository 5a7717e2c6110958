"""One gradient array against the truth: its entries one by one, or a sample and then all at once.

The tolerance of an entry,  max(rtol · size,  MARGIN · rounding),  follows from the computation in
hand. A correct backward rounds differently from the truth, but not a hundred times more.
"""

import numpy as np

from npattn.checking.complex_step import STEP
from npattn.checking.derivatives import UnitDirections
from npattn.checking.report import Entry, Row

MARGIN = 100.0
VANISHING = np.finfo(np.float64).tiny / STEP  # smaller derivatives underflow when multiplied by h
DOUBLE = np.finfo(np.float64).eps


def check_leaf(truth, k, got, name, *, own_rounding, rtol, eps, rng, max_entries):
    """Compare the gradient `got` of leaf k with what `truth.measure(k, ...)` says.

    name          turns an index into words; name(()) names the array
    own_rounding  how much equally good results of this backward differ
    eps           the machine epsilon of the arithmetic that the backward ran in

    Returns a `Row` and a list of failures. If max_entries leaves some out, one derivative along
    random signs sees them all at once; where that is wrong, halving leads to an entry to add.
    """
    rounding = own_rounding * DOUBLE / eps  # as it would be in double precision

    def among(chosen):
        found = truth.measure(k, UnitDirections(got.shape, chosen))
        return found._replace(rounding=max(found.rounding, rounding))

    if max_entries is None or max_entries >= got.size:
        found = among(np.arange(got.size))
        return compare(found, got, np.arange(got.size), name, tolerances(found, rtol, eps))
    chosen = np.sort(rng.choice(got.size, max_entries, replace=False))
    signs = rng.choice([-1.0, 1.0], got.shape)
    whole = truth.measure(k, [signs])
    rounding = max(rounding, whole.rounding)  # a sample may be calmer than the rest
    found, flat = among(chosen), got.ravel().astype(np.float64)
    # Each of the n entries of got brings rounding of its own to their sum.
    own = max(DOUBLE * np.linalg.norm(flat), np.sqrt(flat.size) * found.rounding)
    tolerance = tolerances(whole._replace(rounding=own), rtol, eps)[0]
    total, want = flat @ signs.ravel(), whole.value[0]
    complaints = []
    if not abs(total - want) <= tolerance:
        complaints = [
            f"the entries of {name(())}, added with random signs, give {total:.9g}, "
            f"should be {want:.9g}"
        ]
        chosen = np.union1d(chosen, _hunt(truth, k, signs, flat))
        found = among(chosen)
    row, failures = compare(found, got, chosen, name, tolerances(found, rtol, eps))
    unseen = float(tolerance + np.fmin(abs(total - want), tolerance))
    failures = failures or complaints
    return row._replace(smallest_fault=max(row.smallest_fault, unseen), ok=not failures), failures


def tolerances(found, rtol, eps):
    """How far from `found.value` a correct result may lie, in arithmetic of precision `eps`."""
    rounding = np.maximum(found.error, found.rounding * eps / DOUBLE)
    return np.maximum(max(rtol, MARGIN * eps) * found.size, MARGIN * rounding)


def natural_scale(found):
    """The largest |value|, or where all are 0 up to rounding, the numbers that cancelled."""
    largest = np.abs(found.value).max(initial=0.0)
    doubt = max(found.rounding, found.error.max(initial=0.0))
    return largest if largest > MARGIN * doubt else found.rounding / DOUBLE or 1.0


def compare(found, got, chosen, name, tolerance):
    """The `Row` of the chosen entries, and one sentence about the wrong ones, if any."""
    values = got.ravel()[chosen].astype(np.float64)
    error = np.abs(values - found.value)
    haunted = ~found.moves & ~(np.abs(values) < VANISHING)
    wrong = ~(error <= tolerance) | haunted
    want = np.full(got.size, np.nan)
    want[chosen] = found.value
    smallest = float(np.max(tolerance + np.fmin(error, tolerance), initial=0.0))
    row = Row(
        path=name(()), checked=chosen.size, total=got.size, worst=None, smallest_fault=smallest,
        ok=not wrong.any(), got=got, want=want.reshape(got.shape),
    )
    if not chosen.size:
        return row, []
    ranked = np.flatnonzero(wrong) if wrong.any() else np.arange(chosen.size)
    i = ranked[np.argmax(np.nan_to_num(error[ranked], nan=np.inf))]
    index = tuple(int(j) for j in np.unravel_index(chosen[i], got.shape))
    relative = float(error[i] / natural_scale(found))
    worst = Entry(name(index), index, float(values[i]), float(found.value[i]), relative)
    row = row._replace(worst=worst)
    if not wrong.any():
        return row, []
    sentence = str(worst)
    if haunted[i]:
        sentence = f"{worst.where} is {worst.got:.3g}, must be exactly 0: no output depends on it"
    return row, [sentence + _others(values, found.value, wrong)]


def _others(got, want, wrong):
    """How many more are wrong, and whether all of them by one factor."""
    if wrong.sum() == 1:
        return ""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = got[wrong] / want[wrong]
    same = np.isfinite(ratios).all() and np.ptp(ratios) < 1e-6 * np.abs(ratios).max()
    return f"; {wrong.sum()} of {wrong.size} entries are wrong" + ", all by this ratio" * bool(same)


def _hunt(truth, k, signs, flat):
    """The flat index of a wrong entry: of two halves, follow the one that disagrees more."""
    suspects = np.arange(flat.size)
    while suspects.size > 1:
        halves = np.array_split(suspects, 2)
        gaps = []
        for half in halves:
            direction = np.zeros(signs.shape)
            direction.flat[half] = signs.flat[half]
            gaps.append(abs(flat[half] @ signs.flat[half] - truth.measure(k, [direction]).value[0]))
        suspects = halves[np.argmax(np.nan_to_num(gaps, nan=np.inf))]
    return suspects
