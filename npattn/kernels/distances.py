"""How near a query is to a key: two scores, each with its backward.

    distance   S_ij = −‖q_i − k_j‖² / 2            Q (..., Tq, D), K (..., Tk, D)
    key norm   S_ij = q_iᵀ k_j − ‖k_j‖² / 2        likewise

Both return S (..., Tq, Tk), to be handed to `attend`; `...` stands for leading axes that broadcast.
−‖q − k‖²/2 = qᵀk − ‖k‖²/2 − ‖q‖²/2, and the last term cancels in the softmax: `key_norm_scores`
gives the same weights by one product, with fewer digits where norms are large beside distances.
Source: d2l 11.2, 11.3.1 and 11.3.6.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.shapes import require_shapes
from npattn.kernels.sums import unbroadcast, weighted_sum, zeros_win


class DistanceScoresCache(NamedTuple):
    """What distance_scores_backward reads."""

    Q: np.ndarray           # (..., Tq, D)
    K: np.ndarray           # (..., Tk, D)
    difference: np.ndarray  # (..., Tq, Tk, D) q_i − k_j


@quiet
def distance_scores(Q, K) -> tuple[np.ndarray, DistanceScoresCache]:
    """The nearer the key, the higher the score. Exact also where norms are large.

    Returns S and the cache, which holds Tq · Tk differences. Raises ValueError if shapes disagree.

    >>> distance_scores(np.array([[0.0]]), np.array([[1.0], [2.0]]))[0].tolist()
    [[-0.5, -2.0]]
    """
    require_shapes("Q ... Tq D, K ... Tk D", Q, K)
    difference = Q[..., :, None, :] - K[..., None, :, :]
    S = -0.5 * (difference * difference).sum(axis=-1)
    return S, DistanceScoresCache(Q, K, difference)


@quiet
def distance_scores_backward(dS, cache: DistanceScoresCache) -> tuple[np.ndarray, np.ndarray]:
    """dQ and dK from dS: ∂S_ij/∂q_i = k_j − q_i, and ∂S_ij/∂k_j is its opposite."""
    Q, K, difference = cache
    require_shapes("dS =... Tq Tk, Q ... Tq D, K ... Tk D", dS, Q, K)
    pull = zeros_win(dS[..., None], difference)
    return unbroadcast(-pull.sum(axis=-2), Q), unbroadcast(pull.sum(axis=-3), K)


class KeyNormScoresCache(NamedTuple):
    """What key_norm_scores_backward reads."""

    Q: np.ndarray  # (..., Tq, D)
    K: np.ndarray  # (..., Tk, D)


@quiet
def key_norm_scores(Q, K) -> tuple[np.ndarray, KeyNormScoresCache]:
    """`distance_scores` plus ‖q‖²/2, which changes no weight; for keys of one norm, dot products.

    Returns S and the cache. Raises ValueError if shapes disagree.

    >>> key_norm_scores(np.array([[1.0]]), np.array([[1.0], [2.0]]))[0].tolist()
    [[0.5, 0.0]]
    """
    require_shapes("Q ... Tq D, K ... Tk D", Q, K)
    S = Q @ K.swapaxes(-1, -2) - 0.5 * (K * K).sum(axis=-1)[..., None, :]
    return S, KeyNormScoresCache(Q, K)


@quiet
def key_norm_scores_backward(dS, cache: KeyNormScoresCache) -> tuple[np.ndarray, np.ndarray]:
    """dQ and dK from dS: ∂S_ij/∂q_i = k_j and ∂S_ij/∂k_j = q_i − k_j."""
    Q, K = cache
    require_shapes("dS =... Tq Tk, Q ... Tq D, K ... Tk D", dS, Q, K)
    dK = weighted_sum(dS.swapaxes(-1, -2), Q) - zeros_win(dS.sum(axis=-2)[..., None], K)
    return unbroadcast(weighted_sum(dS, K), Q), unbroadcast(dK, K)
