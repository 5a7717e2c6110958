"""NumPy against torch, array by array: how far apart, where, and is that near enough.

    error  =  |npattn − torch| / scale        scale = the array's largest entry in float64

A gradient may be zero but for rounding: a bias on the keys moves all scores of a query alike,
which softmax ignores. Beside the other gradients its entries are specks of dust, and its scale
is then theirs.
"""

from typing import NamedTuple

import numpy as np

from npattn.checking import Entry

DUST = 1e-9   # of the largest gradient
MARGIN = 20   # tolerated, in units of what one rounding of every argument changes
LOOSEST = 10  # times the usual tolerance, whatever the margin says


class Precision(NamedTuple):
    """How near torch has to come in a precision."""

    name: str
    epsilon: float    # one rounding, relative
    tolerance: float  # the usual one

    def tolerated(self, one_rounding=0.0):
        """(tolerance, why) where one rounding of every argument changes results by that much."""
        if MARGIN * one_rounding <= self.tolerance:
            roundings = f"{self.tolerance / self.epsilon:.0f} roundings of {self.epsilon:.1e}"
            return self.tolerance, roundings
        why = f"{MARGIN} times what one rounding of the arguments changes"
        return min(MARGIN * one_rounding, LOOSEST * self.tolerance), why


PRECISIONS = {
    precision.name: precision
    for precision in (
        Precision("float64", 2.0**-53, 1e-12),
        Precision("float32", 2.0**-24, 1e-5),
        Precision("float16", 2.0**-11, 1e-2),
        Precision("bfloat16", 2.0**-8, 5e-2),
    )
}


class Measured(NamedTuple):
    """One array, as both sides have it."""

    name: str          # "Y", "dQ", "dparams.W"
    here: np.ndarray   # npattn, float64
    torch: np.ndarray  # whatever precision it was computed in, as float64
    words: tuple = ()  # for the axes, such as ("batch", "query", "dim")


class Row(NamedTuple):
    """What was found about one kernel or system."""

    name: str
    entries: int      # compared, of outputs and gradients
    error: float      # the worst, relative
    where: str        # "dK[0, 2, 3, 1]"
    tolerance: float
    why: str          # that tolerance
    ok: bool
    fault: str        # a sentence where it is not ok, else ""


def compare(name, arrays, precision, one_rounding=0.0):
    """The `Row` of `arrays`, a list of `Measured`; it is judged by the worst entry of all.

    one_rounding  the error that one rounding of every argument makes, for the tolerance
    """
    largest = max((_size(array) for array in arrays if _is_gradient(array)), default=0.0)
    worst = max((_worst(array, largest) for array in arrays), key=lambda entry: entry.error)
    entries = sum(array.here.size for array in arrays)
    tolerance, why = precision.tolerated(one_rounding)
    ok = worst.error <= tolerance
    fault = "" if ok else f"{worst}, says torch"
    return Row(name, entries, worst.error, worst.where, tolerance, why, ok, fault)


def missed(name, precision, fault):
    """The row of something that could not be compared; `fault` says why."""
    return Row(name, 0, np.inf, "-", *precision.tolerated(), False, fault)


def _worst(array, largest):
    """The `Entry` that is furthest off; NaN and inf are infinitely far."""
    name, here, torch, words = array
    if here.shape != torch.shape:
        raise ValueError(f"{name} is {here.shape} in npattn and {torch.shape} in torch")
    if here.size == 0:
        return Entry(name, (), 0.0, 0.0, 0.0)
    size = _size(array)
    scale = largest if _is_gradient(array) and size < DUST * largest else size
    with np.errstate(invalid="ignore"):  # −inf − (−inf), for the log of an empty sum
        error = np.abs(here - torch) / (scale or 1.0)
    error = np.where(here == torch, 0.0, np.where(np.isfinite(error), error, np.inf))
    index = tuple(map(int, np.unravel_index(error.argmax(), error.shape)))
    labels = [f"{word} {i}" for word, i in zip(words, index, strict=True)] if words else index
    where = f"{name}[{', '.join(map(str, labels))}]" if index else name
    return Entry(where, index, float(here[index]), float(torch[index]), float(error[index]))


def _size(array):
    return float(np.abs(array.here).max(initial=0.0, where=np.isfinite(array.here)))


def _is_gradient(array):
    return array.name.startswith("d")
