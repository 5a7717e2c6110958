"""Numbers that lack digits, or that exp has made too large or too small.

A symptom is a function (name, cases) -> a sentence that holds in every one of the cases, or None.
"""

import numpy as np

from npattn.exercises.symptoms.case import forbids, sums_to_one

NEAR = 1e-3  # a relative error up to this is "nearly right"


def nearly(name, cases):
    """What it should be, to some digits."""
    worst, most = 0.0, max(np.abs(case.want).max(initial=0.0) for case in cases)
    for case in cases:
        top = np.abs(case.want).max(initial=0.0) or most  # all zeros: beside the other cases
        error = np.abs(case.got - case.want).max()
        worst = np.fmax(worst, error / top) if top and np.isfinite(error) else np.inf
    if not 0.0 < worst <= NEAR:
        return None
    return (
        f"{name} agrees with what it should be to {-np.log10(worst):.0f} digits everywhere, and no "
        "further: the formula is right, or nearly. Look for a constant with few digits, single "
        "precision (float32), an ε that does not belong, an approximation, a difference quotient."
    )


def coarse(name, cases):
    """Numbers that were rounded on the way: to whole ones, to half or to single precision."""
    numbers = np.concatenate([case.got[np.isfinite(case.got)] for case in cases])
    if not all(case.got.dtype == np.float64 for case in cases):
        return None

    def only(rounded):
        return (rounded(numbers) == numbers).all() and not all(
            (rounded(case.want) == case.want).all() for case in cases)

    if only(np.round) and len(np.unique(np.abs(numbers))) > 3:
        return (f"{name} holds whole numbers only: an array of integers (zeros_like of one, say) "
                "cuts off what is behind the point.")
    near = [(np.abs(case.got - case.want) <= 0.02 * np.abs(case.want).max(initial=0.0)).all()
            for case in cases]
    kinds = ((np.float16, "half"), (np.float32, "single")) if 2 * sum(near) >= len(near) else ()
    for dtype, words in kinds:
        if only(lambda X, dtype=dtype: X.astype(dtype).astype(X.dtype)):
            return (f"All numbers of {name} are such as {words} precision has ({dtype.__name__}): "
                    "keep the precision of the inputs.")
    return None


def not_finite(name, cases):
    """NaN or inf where there should be numbers."""
    spoilt = [np.isfinite(case.want) & ~np.isfinite(case.got) for case in cases]
    if not any(bad.any() for bad in spoilt):
        return None
    only = all((case.wrong == bad).all() for case, bad in zip(cases, spoilt, strict=True))
    dead = [_dead(case) for case in cases]
    if only and all(rows is not None and not (bad & ~rows).any()
                    for rows, bad in zip(dead, spoilt, strict=True)):
        return (
            f"{name} holds NaN or inf for queries that may attend to nothing, and nowhere else: "
            "0/0, or −inf − (−inf). What belongs to such a query is 0."
        )
    empty = [(case.want == 0).all(axis=-1, keepdims=True) for case in cases if case.want.ndim]
    if only and len(empty) == len(cases) and not any(
            (bad & ~zero).any() for bad, zero in zip(spoilt, empty, strict=True)):
        return (
            f"{name} holds NaN or inf where everything should be 0, and nowhere else: where "
            "nothing may be attended to, 0/0 or −inf − (−inf) came out."
        )
    titles = [case.title for case, bad in zip(cases, spoilt, strict=True) if bad.any()]
    if all("large scores" in title or "1000" in title for title in titles):
        return (
            f"{name} holds NaN or inf where scores are large, as exp overflows or underflows: "
            "subtract from each row of scores its own largest one, before exp."
        )
    rest = "everything else is right" if only else "other entries are wrong, too"
    return f"{name} holds NaN or inf where it should not; {rest}."


def _dead(case):
    """The rows of an array whose query may attend to nothing, in its shape; None if unknown."""
    for key, value in case.inputs.items():
        if forbids(key, value, dead=True) and value.ndim == case.want.ndim:
            rows = (value == 0).all(axis=-1, keepdims=True)
            if rows.shape[:-1] == case.want.shape[:-1]:
                return np.broadcast_to(rows, case.want.shape)
    return None


def lost(name, cases):
    """Weights that vanish or shrink where scores are large, and only there."""
    large = all(any(isinstance(X, np.ndarray) and (np.abs(X) >= 50.0).any()
                    for X in case.inputs.values()) for case in cases)
    if not large or not all(sums_to_one(case.want, -1) for case in cases):
        return None
    short = all((case.got.sum(-1) < case.want.sum(-1) - 1e-6)[case.wrong.any(-1)].all()
                and (case.got >= 0.0).all() for case in cases)
    return (
        f"Rows of {name} have lost their weights where scores are large, as exp underflows: "
        "subtract from each row its own largest score, of the keys that it may attend to."
    ) if short else None


def clipped(name, cases):
    """Different large scores with the same weight."""
    tied = []
    for case in cases:
        S = case.inputs.get("S")
        if not (isinstance(S, np.ndarray) and S.shape == case.got.shape and case.got.ndim):
            return None
        S, got = (X.reshape(-1, X.shape[-1]) for X in (S, case.got))
        rows = zip(S, got, case.wrong.reshape(S.shape).any(-1), strict=True)
        tied += [any(abs(s[i] - s[j]) > 1e-3 and max(abs(s[i]), abs(s[j])) > 10.0
                     and p[i] == p[j] > 1e-3 for i in range(len(s)) for j in range(i))
                 for s, p, wrong in rows if wrong]
    large = all((np.abs(case.inputs["S"]) >= 10.0).any() for case in cases)
    if large and tied and all(tied) and all(sums_to_one(case.got, -1) for case in cases):
        return (
            f"In {name} large scores that differ have one weight: they were limited (np.clip, say) "
            "before exp. Subtract the largest score of the row instead, which changes no weight."
        )
    return None
