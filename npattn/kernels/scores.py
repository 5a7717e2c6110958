"""How well a query matches a key: four scores, each with its backward.

    dot        S_ij = q_iᵀ k_j · scale             Q (..., Tq, D), K (..., Tk, D)
    bilinear   S_ij = q_iᵀ M k_j                   Q (..., Tq, Dq), K (..., Tk, Dk), M (Dq, Dk)
    distance   S_ij = −‖q_i − k_j‖² / 2            Q (..., Tq, D), K (..., Tk, D)
    key norm   S_ij = q_iᵀ k_j − ‖k_j‖² / 2        likewise

All return S (..., Tq, Tk), to be handed to `attend`; the page `additive` has scores by a small
network. `...` stands for any leading axes; an axis of length 1 is shared.
Multiplied out, −‖q − k‖²/2 = qᵀk − ‖k‖²/2 − ‖q‖²/2, and the last term is the same for all keys
of a query, so it cancels in the softmax: `key_norm_scores` gives the weights of `distance_scores`
by one matrix product, and loses digits where norms are large beside distances. If all keys have
one norm, that cancels as well, and what is left is the dot product.
Source: d2l 11.2, 11.3.1 and 11.3.6; Luong, Pham and Manning 2015, section 3.1 ("general").
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_upstream
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
    """The scores of `attention`.

    Q      (..., Tq, D)
    K      (..., Tk, D)
    scale  None means 1/√D

    Returns S (..., Tq, Tk) and the cache. Raises ValueError if widths or leading axes disagree.

    >>> dot_scores(np.array([[1.0, 2.0]]), np.eye(2), scale=1.0)[0].tolist()
    [[1.0, 2.0]]
    """
    require_shapes("Q ... Tq D, K ... Tk D", Q, K)
    scale = score_scale(scale, Q)
    return (scale * Q) @ K.swapaxes(-1, -2), DotScoresCache(Q, K, scale)


@quiet
def dot_scores_backward(dS, cache) -> tuple[np.ndarray, np.ndarray]:
    """dQ and dK from dS (..., Tq, Tk): S is linear in each."""
    Q, K, scale = cache
    require_upstream(scores_like(Q, K), dS=dS)
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
    """A learned matrix between query and key, which may differ in width.

    Q  (..., Tq, Dq)
    K  (..., Tk, Dk)
    M  (Dq, Dk)

    Returns S (..., Tq, Tk) and the cache. Raises ValueError if widths or leading axes disagree.

    >>> bilinear_scores(np.array([[1.0, 2.0]]), np.array([[3.0]]), np.array([[1.0], [1.0]]))[0]
    array([[9.]])
    """
    require_shapes("Q ... Tq Dq, K ... Tk Dk, M Dq Dk", Q, K, M)
    return Q @ M @ K.swapaxes(-1, -2), BilinearScoresCache(Q, K, M)


@quiet
def bilinear_scores_backward(dS, cache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dQ, dK and dM from dS: with G = dS K, the gradient of Q M, dQ = G Mᵀ and dM = Σ Qᵀ G."""
    Q, K, M = cache
    require_upstream(scores_like(Q, K), dS=dS)
    G = weighted_sum(dS, K)
    G = unbroadcast(G, (*Q.shape[:-1], G.shape[-1]))
    dM = weighted_sum(as_rows(G).T, as_rows(Q)).T
    dK = weighted_sum(dS.swapaxes(-1, -2), Q @ M)
    return G @ M.T, unbroadcast(dK, K), dM


class DistanceScoresCache(NamedTuple):
    """What distance_scores_backward reads."""

    Q: np.ndarray           # (..., Tq, D)
    K: np.ndarray           # (..., Tk, D)
    difference: np.ndarray  # (..., Tq, Tk, D) q_i − k_j


@quiet
def distance_scores(Q, K) -> tuple[np.ndarray, DistanceScoresCache]:
    """The nearer the key, the higher the score. Exact also where norms are large.

    Q  (..., Tq, D)
    K  (..., Tk, D)

    Returns S (..., Tq, Tk) and the cache, which holds Tq · Tk differences.
    Raises ValueError if widths or leading axes disagree.

    >>> distance_scores(np.array([[0.0]]), np.array([[1.0], [2.0]]))[0].tolist()
    [[-0.5, -2.0]]
    """
    require_shapes("Q ... Tq D, K ... Tk D", Q, K)
    difference = Q[..., :, None, :] - K[..., None, :, :]
    S = -0.5 * (difference * difference).sum(axis=-1)
    return S, DistanceScoresCache(Q, K, difference)


@quiet
def distance_scores_backward(dS, cache) -> tuple[np.ndarray, np.ndarray]:
    """dQ and dK from dS: ∂S_ij/∂q_i = k_j − q_i, and ∂S_ij/∂k_j is its opposite."""
    Q, K, difference = cache
    require_upstream(scores_like(Q, K), dS=dS)
    pull = zeros_win(dS[..., None], difference)
    return unbroadcast(-pull.sum(axis=-2), Q), unbroadcast(pull.sum(axis=-3), K)


class KeyNormScoresCache(NamedTuple):
    """What key_norm_scores_backward reads."""

    Q: np.ndarray  # (..., Tq, D)
    K: np.ndarray  # (..., Tk, D)


@quiet
def key_norm_scores(Q, K) -> tuple[np.ndarray, KeyNormScoresCache]:
    """`distance_scores` plus ‖q‖²/2, which changes no weight.

    Q  (..., Tq, D)
    K  (..., Tk, D)

    Returns S (..., Tq, Tk) and the cache. Raises ValueError if widths or leading axes disagree.

    >>> key_norm_scores(np.array([[1.0]]), np.array([[1.0], [2.0]]))[0].tolist()
    [[0.5, 0.0]]
    """
    require_shapes("Q ... Tq D, K ... Tk D", Q, K)
    S = Q @ K.swapaxes(-1, -2) - 0.5 * (K * K).sum(axis=-1)[..., None, :]
    return S, KeyNormScoresCache(Q, K)


@quiet
def key_norm_scores_backward(dS, cache) -> tuple[np.ndarray, np.ndarray]:
    """dQ and dK from dS: ∂S_ij/∂q_i = k_j and ∂S_ij/∂k_j = q_i − k_j."""
    Q, K = cache
    require_upstream(scores_like(Q, K), dS=dS)
    dK = weighted_sum(dS.swapaxes(-1, -2), Q) - zeros_win(dS.sum(axis=-2)[..., None], K)
    return unbroadcast(weighted_sum(dS, K), Q), unbroadcast(dK, K)


def zeros_win(factor, X) -> np.ndarray:
    """factor ⊙ X, where a factor of exactly 0 gives 0 even if X is NaN or inf."""
    return np.where(factor == 0.0, 0.0, factor * X)


def scores_like(Q, K) -> tuple:
    """The shape and the dtype of the scores of Q (..., Tq, D) and K (..., Tk, D)."""
    lead = np.broadcast_shapes(Q.shape[:-2], K.shape[:-2])
    return (*lead, Q.shape[-2], K.shape[-2]), Q.dtype
