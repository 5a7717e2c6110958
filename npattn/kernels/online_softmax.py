"""Softmax over keys that come in portions: a running maximum, and merging what is done.

    softmax(S)_j = exp(S_j − m) / Z,    Z = Σ_j exp(S_j − m),    the same for every m

m is the largest score so far. When it rises, the sums made with the old m are multiplied by
exp(m_old − m_new). Attention over a part of the keys comes to its output O and its log-sum-exp
L = m + log Z, and two parts without a common key merge into

    L = log(exp L₁ + exp L₂)                     (..., Tq)
    O = exp(L₁ − L) O₁ + exp(L₂ − L) O₂          (..., Tq, Dv)

Source: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax", section 3.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.shapes import require_shapes
from npattn.kernels.tiling.exp_range import to_base


class Partial(NamedTuple):
    """What attention over some of the keys comes to."""

    O: np.ndarray  # (..., Tq, Dv)
    L: np.ndarray  # (..., Tq) log-sum-exp of the scores; −inf where no key is allowed


class MergeCache(NamedTuple):
    """What merge_partials_backward reads."""

    first: Partial
    second: Partial
    merged: Partial


@quiet
def merge_partials(first, second):
    """Attention over all keys, from attention over two parts that have no key in common.

    first, second  pairs (O, L) for the same queries: O and cache.L of `tiled_attention`, or merged

    Returns Partial(O, L) and the cache. A part of which a query may attend to no key changes
    nothing for it. Raises ValueError if shapes disagree.
    """
    first, second = Partial(*first), Partial(*second)
    require_shapes("O1 ... Tq Dv, L1 =... Tq, O2 =... Tq Dv, L2 =... Tq", *first, *second)
    m = np.maximum(first.L.real, second.L.real)
    m = np.where(m == -np.inf, 0.0, m)  # no key in either part
    L = m + np.log(np.exp(first.L - m) + np.exp(second.L - m))
    w1, w2 = _shares(first, second, L)
    merged = Partial(w1 * first.O + w2 * second.O, L)
    return merged, MergeCache(first, second, merged)


@quiet
def merge_partials_backward(dmerged, cache: MergeCache):
    """The gradients of both parts, each a Partial, from dmerged = (dO, dL)."""
    # with w₁ = exp(L₁ − L):  ∂O/∂O₁ = w₁,  ∂L/∂L₁ = w₁  and  ∂O/∂L₁ = w₁ (O₁ − O)
    (dO, dL), parts = dmerged, cache[:2]
    require_shapes("dO =... Tq Dv, dL =... Tq, O ... Tq Dv", dO, dL, cache.merged.O)
    return tuple(
        Partial(w * dO, w[..., 0] * (dL + (dO * (part.O - cache.merged.O)).sum(axis=-1)))
        for part, w in zip(parts, _shares(*parts, cache.merged.L), strict=True)
    )


def _shares(first, second, L):
    """exp(L₁ − L) and exp(L₂ − L), (..., Tq, 1); both are 0 where there is no key at all."""
    L = np.where(L.real == -np.inf, 0.0, L)
    return (np.exp(part.L - L)[..., None] for part in (first, second))


def raise_maximum(S, m, shifted, base):
    """S becomes what base.exp takes, in place. Returns the new m and the factor on the sums.

    S        (n, keys, queries)  a tile of scores, −inf where a pair may not attend
    m        (n, queries)        the maximum so far, −inf at first
    shifted  (n, queries) bool   the rows that need one; in the others m stays 0
    """
    raised = np.where(shifted, np.maximum(m, S.max(axis=1)), m)
    shift = np.where(raised == -np.inf, S.dtype.type(0.0), raised)
    S -= shift[:, None]
    to_base(S, shifted, base)
    return raised, np.exp(m - shift)


def log_sum_exp(m, Z):
    """L = m + log Z and what rounding took from it: little, and nothing where |m| ≥ |log Z|."""
    with np.errstate(all="ignore"):
        exact_m, log_Z = m.astype(np.float64), np.log(Z, dtype=np.float64)
        L = (exact_m + log_Z).astype(m.dtype)
        rest = np.where(np.isfinite(L), (exact_m - L) + log_Z, 0.0)
    return L, rest.astype(m.dtype)
