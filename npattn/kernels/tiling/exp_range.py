"""How exp is kept fast and in range, in the rows where scores are small and in the others.

By Cauchy and Schwarz |S_ij| ≤ ‖q_i‖ ‖k_j‖ |scale|: a bound that costs no look at S. Rows in which
it is small need no maximum taken off before exp; the others, called shifted, do.
exp is taken to whatever base is fastest, so S is wanted times 1 / ln base. In most rows that
factor goes into the queries beforehand. A large score it would round, by more than exp can
bear: in shifted rows S stays as it is until the shift has made it small.

    row        its query is times    its product is    before exp
    most       scale / ln base       S / ln base       nothing is taken off
    shifted    scale                 S                 the maximum, or L; then × 1 / ln base

Arrays have one leading axis here: N for all, n for those of a tile (n, keys, queries).
Source: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax", section 2.
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
    """np.exp2 where NumPy has vector code for it, else np.exp; `natural` asks for np.exp.

    With vector code exp2 is faster than exp and errs less; without, it is slower.
    A NumPy that does not say which code it has (before 2.1) gets exp.
    """
    try:
        code = np.lib.introspect.opt_func_info("^exp2$")["exp2"]["ff"]["current"]
    except (AttributeError, KeyError):
        code = "baseline"
    natural = natural or code.startswith("baseline")
    exp, ln = (np.exp, 1.0) if natural else (np.exp2, math.log(2.0))
    return Exponential(exp, ln, math.ceil(math.log(np.finfo(dtype).tiny) / ln))


def needs_shift(Q, K, V, stop, scale, steps=NO_STEPS, owner=None):
    """Which queries need a maximum, since exp(S) V might leave the range of floats without.

    Q (N, Tq, Dk)   K (M, Tk, Dk)   V (M, Tk, Dv)
    stop   (N, Tq)  query i attends to keys below stop_i, so only those have a say
    steps  ScoreSteps, which change the bound
    owner  (N,) which of the M heads of keys is whose; None means M = N

    Returns (N, Tq) bool; a row that is not finite needs one, too. The bound may use up half of
    the exponents there are. The other half is for exp(S − L) in the backward, in which it
    counts twice. Mostly one bound will do for all rows; where it is too large, each has its own.
    """
    q, k, v = (np.sqrt(np.einsum("ntd,ntd->nt", X, X)) for X in (Q, K, V))
    if owner is not None:
        k, v = k[owner], v[owner]
    bias, factor = steps.largest, abs(scale)
    if steps.owner is not None:
        bias = bias[steps.owner]

    def fits(S, v):
        bits = S / math.log(2.0) + np.abs(np.log2(v))
        return bits + math.log2(max(1, K.shape[1])) < np.finfo(Q.dtype).maxexp // 2

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        range_v = np.array([v.min(initial=np.inf), v.max(initial=0.0)])
        largest = _bound(steps, q.max(initial=0.0) * k.max(initial=0.0) * factor, bias)
        if fits(np.max(largest, initial=0.0), range_v).all():
            return np.zeros(stop.shape, bool)
        largest = _bound(steps, q * _longest_below(stop, k) * factor, bias)
        return ~fits(largest, _longest_below(stop, v)) & ((stop > 0) | (steps.sink is not None))


def _longest_below(stop, length):
    """The largest of the first stop_i of length (N, Tk): (N, Tq), or (N, 1) if all count."""
    if stop.min(initial=length.shape[1]) == length.shape[1]:
        return length.max(axis=1, initial=0.0, keepdims=True)
    so_far = np.maximum.accumulate(np.pad(length, ((0, 0), (1, 0))), axis=1)
    return np.take_along_axis(so_far, stop, axis=1)


def _bound(steps, S, bias):
    """The largest |score| there can be, from that of the products and of the bias."""
    if steps.cap is not None:
        S = np.where(np.isfinite(S), np.minimum(S, steps.cap), S)
    S = S if bias is None else S + bias
    return S if steps.sink is None else np.maximum(S, np.abs(steps.sink))


def units(shifted, base):
    """What scores are measured in, (n, queries): ln of the base, but 1 in rows that are shifted."""
    return np.where(shifted, 1.0, base.ln)


def to_base(S, shifted, base):
    """Makes of shifted scores, in place, what base.exp takes; none is left too low for it."""
    S *= np.where(shifted, 1.0 / base.ln, 1.0).astype(S.dtype)[:, None]
    np.clip(S, base.lowest, None, out=S)
