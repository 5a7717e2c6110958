"""How well a query matches a key, by a product: two scores, each with its backward.

    dot        S_ij = q_iᵀ k_j · scale             Q (..., Tq, D), K (..., Tk, D)
    bilinear   S_ij = q_iᵀ M k_j                   Q (..., Tq, Dq), K (..., Tk, Dk), M (Dq, Dk)

Both return S (..., Tq, Tk), to be handed to `attend`; `...` stands for any leading axes, the same
on Q and K. The page `distances` has scores by nearness, `additive` one by a small network.
Source: d2l 11.3.1 and 11.3.6; Luong, Pham and Manning 2015, section 3.1 ("general").
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import as_rows, require_floats
from npattn.kernels.weighted_sum import weighted_sum


class DotScoresCache(NamedTuple):
    """What dot_scores_backward reads."""

    Q: np.ndarray  # (..., Tq, D)
    K: np.ndarray  # (..., Tk, D)
    scale: float


def dot_scores(Q, K, *, scale=None):
    """The scores of `attention`.

    Q      (..., Tq, D)
    K      (..., Tk, D)
    scale  None means 1/√D

    Returns S (..., Tq, Tk) and the cache. Raises ValueError if widths or leading axes disagree.
    """
    require_matching_widths(Q, K)
    scale = 1.0 / math.sqrt(Q.shape[-1]) if scale is None else float(scale)
    return product(Q * scale, K), DotScoresCache(Q, K, scale)


def dot_scores_backward(dS, cache):
    """dQ and dK from dS (..., Tq, Tk): S is linear in each."""
    Q, K, scale = cache
    return weighted_sum(dS, K) * scale, weighted_sum(dS.swapaxes(-1, -2), Q * scale)


class BilinearScoresCache(NamedTuple):
    """What bilinear_scores_backward reads."""

    Q: np.ndarray  # (..., Tq, Dq)
    K: np.ndarray  # (..., Tk, Dk)
    M: np.ndarray  # (Dq, Dk)


def bilinear_scores(Q, K, M):
    """A learned matrix between query and key, which may differ in width.

    Q  (..., Tq, Dq)
    K  (..., Tk, Dk)
    M  (Dq, Dk)

    Returns S (..., Tq, Tk) and the cache. Raises ValueError if widths or leading axes disagree.
    """
    require_floats(Q=Q, K=K, M=M)
    if M.ndim != 2 or min(Q.ndim, K.ndim) < 2 or (Q.shape[-1], K.shape[-1]) != M.shape:
        raise ValueError(
            f"Q {Q.shape} and K {K.shape} do not fit M {M.shape}: "
            "they must be (..., Tq, Dq), (..., Tk, Dk) and (Dq, Dk)"
        )
    QM = product(Q, M.T)
    require_matching_widths(QM, K)
    return product(QM, K), BilinearScoresCache(Q, K, M)


def bilinear_scores_backward(dS, cache):
    """dQ, dK and dM from dS: with G = dS K, the gradient of Q M, dQ = G Mᵀ and dM = Σ Qᵀ G."""
    Q, K, M = cache
    G = weighted_sum(dS, K)
    dM = weighted_sum(as_rows(G).T, as_rows(Q)).T
    return G @ M.T, weighted_sum(dS.swapaxes(-1, -2), product(Q, M.T)), dM


def product(Q, K):
    """Q Kᵀ (..., Tq, Tk)."""
    with np.errstate(invalid="ignore", over="ignore"):  # a masked key may hold anything
        return Q @ K.swapaxes(-1, -2)


def require_matching_widths(Q, K):
    """Q (..., Tq, D) and K (..., Tk, D) must share D and leading axes."""
    require_floats(Q=Q, K=K)
    if min(Q.ndim, K.ndim) < 2 or (*Q.shape[:-2], Q.shape[-1]) != (*K.shape[:-2], K.shape[-1]):
        raise ValueError(f"Q {Q.shape} and K {K.shape} must be (..., Tq, D) and (..., Tk, D)")
