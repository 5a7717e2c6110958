"""Where two outputs differ, in words: a factor, or some items, heads, queries or features alone."""

import numpy as np

AXES = {4: ("item", "head", "query", "feature"), 3: ("item", "query", "feature")}


def difference(got, want, near=1e-9):
    """A clause about how `got` differs from `want`; "" if nothing simple can be said.

    got, want  (B, H, T, d) or (B, T, D)
    """
    if got is None or want is None or got.shape != want.shape:
        return ""
    finite = np.isfinite(got)
    if not finite.any():
        return "all numbers are NaN or infinite"
    size = max(np.abs(want[np.isfinite(want)]).max(initial=0.0), 1e-300)
    off = ~finite | (np.abs(np.where(finite, got, 0.0) - want) > near * size)
    places = "; ".join(filter(None, (_along(off, axis, name)
                                     for axis, name in enumerate(AXES.get(got.ndim, ())))))
    if not finite.all():
        return f"some numbers are NaN or infinite{f' ({places})' * bool(places)}"
    if factor := _factor(got[off], want[off], size):
        return f"it is {factor:.6g} times what it should be{f' ({places})' * bool(places)}"
    return places


def _along(off, axis, name):
    """Which indices of an axis are off, if not all of them."""
    others = tuple(i for i in range(off.ndim) if i != axis)
    bad = np.flatnonzero(off.any(others))
    n = off.shape[axis]
    if len(bad) in (0, n):
        return ""
    many = {"query": "queries"}.get(name, f"{name}s")
    if len(bad) == 1 and bad[0] in (0, n - 1):
        return f"only the {'first' if bad[0] == 0 else 'last'} {name} differs"
    if len(bad) == n - 1:
        good = ({*range(n)} - {*bad}).pop()
        if good in (0, n - 1):
            return f"all {many} but the {'first' if good == 0 else 'last'} one differ"
    if len(bad) <= 4:
        numbers = ", ".join(str(i) for i in bad)
        one = len(bad) == 1
        return (f"only the {name if one else many} {numbers} of {n} differ{'s' * one} (counted "
                "from 0)")
    return f"only {len(bad)} of {n} {many} differ"


def _factor(got, want, size):
    """The constant that all numbers are multiplied with; None."""
    known = np.abs(want) > 1e-3 * size
    if known.sum() < 3:
        return None
    factors = got[known] / want[known]
    return factors[0] if np.ptp(factors) < 1e-6 * abs(factors[0]) else None
