"""How exp is kept fast and in range, in the rows where scores are small and in the others.

By Cauchy and Schwarz |S_ij| ≤ ‖q_i‖ ‖k_j‖ |scale|. Where this is small, no maximum is taken off
before exp; the other rows are called shifted. The base of exp is the fastest there is, so S is
wanted times 1 / ln base: a factor of the queries, or, if S is large, after the shift.

    row        its query is times    its product is    before exp
    most       scale / ln base       S / ln base       nothing is taken off
    shifted    scale                 S                 the maximum, or L; then × 1 / ln base

Arrays have one leading axis here: N for all, n for those of a tile (n, keys, queries).
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np

from npattn.kernels.tiling.score_steps import NO_STEPS


class Exponential(NamedTuple):
    """The exponential function that is fastest here."""

    exp: np.ufunc    # base ** x
    ln: float        # the natural logarithm of the base
    lowest: float    # base ** lowest is a normal number; much below, exp gets slow


@cache
def exponential(dtype, natural=False):
    """np.exp; or np.exp2 if NumPy says it has vector code for that: faster then, errs less."""
    try:
        code = np.lib.introspect.opt_func_info("^exp2$")["exp2"]["ff"]["current"]
    except (AttributeError, KeyError):
        code = "baseline"
    exp, ln = (np.exp, 1.0) if natural or code.startswith("baseline") else (np.exp2, math.log(2.0))
    return Exponential(exp, ln, math.ceil(math.log(np.finfo(dtype).tiny) / ln))


def needs_shift(Q, K, V, stop, scale, steps=NO_STEPS, owner=None):
    """Which queries need a maximum, since exp(S) V might leave the range of floats without.

    Q (N, Tq, Dk), K (M, Tk, Dk), V (M, Tk, Dv), stop (N, Tq): query i attends to keys below stop_i
    steps, owner  ScoreSteps, which change the bound; which head of keys is whose: page `sharing`

    Returns (N, Tq) bool, true where the query, or any key or value of its head, is not finite; and
    whether scores that are not allowed may leave the range, too. The bound may use up half of the
    exponents; the other half is for exp(−L) dO in the backward.
    """
    q, k, v = (np.sqrt(np.einsum("ntd,ntd->nt", X, X)) for X in (Q, K, V))
    k, v = (k, v) if owner is None else (k[owner], v[owner])

    def fits(S, v):
        bits = S / math.log(2.0) + np.abs(np.log2(v))
        return bits + math.log2(max(1, K.shape[1])) < np.finfo(Q.dtype).maxexp // 2

    with np.errstate(all="ignore"):
        range_v = np.array([v.min(initial=np.inf), v.max(initial=0.0)])
        one = steps.bound(q.max(initial=0.0) * k.max(initial=0.0) * abs(scale))
        if fits(np.max(one, initial=0.0), range_v).all():
            return np.zeros(stop.shape, bool), False
        fit = fits(steps.bound(q * _longest_below(stop, k) * abs(scale)), _longest_below(stop, v))
        finite = np.isfinite(q * (k + v).max(axis=1, initial=0.0, keepdims=True))
        return ~fit & ((stop > 0) | (steps.sink is not None)) | ~finite, True


def _longest_below(stop, length):
    """The largest of the first stop_i of length (N, Tk): (N, Tq), or (N, 1) if all count."""
    if stop.min(initial=length.shape[1]) == length.shape[1]:
        return length.max(axis=1, initial=0.0, keepdims=True)
    so_far = np.maximum.accumulate(np.pad(length, ((0, 0), (1, 0))), axis=1)
    return np.take_along_axis(so_far, stop, axis=1)


def units(shifted, base):
    """What scores are measured in: ln of the base, but (n, queries) with 1 in shifted rows."""
    return np.where(shifted, 1.0, base.ln) if shifted.any() else base.ln


def to_base(S, shifted, base):
    """Makes of shifted scores, in place, what base.exp takes; none is left too low for it."""
    S *= np.where(shifted, 1.0 / base.ln, 1.0).astype(S.dtype)[:, None]
    np.clip(S, base.lowest, None, out=S)
