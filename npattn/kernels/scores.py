"""How well a query matches a key, by a product: two scores, each with its backward.

    dot        S_ij = q_iᵀ k_j · scale             Q (..., Tq, D), K (..., Tk, D)
    bilinear   S_ij = q_iᵀ M k_j                   Q (..., Tq, Dq), K (..., Tk, Dk), M (Dq, Dk)

Both return S (..., Tq, Tk), to be handed to `attend`; `...` stands for any leading axes, and an
axis of length 1 is shared. Other scores: pages `distances` and `additive`.
Source: d2l 11.3.1 and 11.3.6; Luong, Pham and Manning 2015, section 3.1 ("general").
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.options import score_scale
from npattn.kernels.shapes import require_shapes
from npattn.kernels.sums import as_rows, unbroadcast, weighted_sum


class DotScoresCache(NamedTuple):
    """What dot_scores_backward reads."""

    Q: np.ndarray  # (..., Tq, D)
    K: np.ndarray  # (..., Tk, D)
    scale: float


@quiet
def dot_scores(Q, K, *, scale=None) -> tuple[np.ndarray, DotScoresCache]:
    """The scores of `attention`, from Q (..., Tq, D) and K (..., Tk, D); scale None means 1/√D.

    Returns S (..., Tq, Tk) and the cache. Raises ValueError if widths or leading axes disagree.

    >>> dot_scores(np.array([[1.0, 2.0]]), np.eye(2), scale=1.0)[0].tolist()
    [[1.0, 2.0]]
    """
    require_shapes("Q ... Tq D, K ... Tk D", Q, K)
    scale = score_scale(scale, Q)
    return (scale * Q) @ K.swapaxes(-1, -2), DotScoresCache(Q, K, scale)


@quiet
def dot_scores_backward(dS, cache: DotScoresCache) -> tuple[np.ndarray, np.ndarray]:
    """dQ and dK from dS (..., Tq, Tk): S is linear in each."""
    Q, K, scale = cache
    require_shapes("dS =... Tq Tk, Q ... Tq D, K ... Tk D", dS, Q, K)
    dQ = scale * weighted_sum(dS, K)
    dK = weighted_sum(dS.swapaxes(-1, -2), scale * Q)
    return unbroadcast(dQ, Q), unbroadcast(dK, K)


class BilinearScoresCache(NamedTuple):
    """What bilinear_scores_backward reads."""

    Q: np.ndarray  # (..., Tq, Dq)
    K: np.ndarray  # (..., Tk, Dk)
    M: np.ndarray  # (Dq, Dk)


@quiet
def bilinear_scores(Q, K, M) -> tuple[np.ndarray, BilinearScoresCache]:
    """A learned matrix M (Dq, Dk) between Q (..., Tq, Dq) and K (..., Tk, Dk).

    Returns S (..., Tq, Tk) and the cache. Raises ValueError if widths or leading axes disagree.

    >>> bilinear_scores(np.array([[1.0, 2.0]]), np.array([[3.0]]), np.array([[1.0], [1.0]]))[0]
    array([[9.]])
    """
    require_shapes("Q ... Tq Dq, K ... Tk Dk, M Dq Dk", Q, K, M)
    return Q @ M @ K.swapaxes(-1, -2), BilinearScoresCache(Q, K, M)


@quiet
def bilinear_scores_backward(
    dS, cache: BilinearScoresCache
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dQ, dK and dM from dS: with G = dS K, the gradient of Q M, dQ = G Mᵀ and dM = Σ Qᵀ G."""
    Q, K, M = cache
    require_shapes("dS =... Tq Tk, Q ... Tq Dq, K ... Tk Dk", dS, Q, K)
    G = weighted_sum(dS, K)
    G = unbroadcast(G, (*Q.shape[:-1], G.shape[-1]))
    dM = weighted_sum(as_rows(G).T, as_rows(Q)).T
    dK = weighted_sum(dS.swapaxes(-1, -2), Q @ M)
    return G @ M.T, unbroadcast(dK, K), dM
