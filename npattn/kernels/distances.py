"""How near a query is to a key: two scores, each with its backward.

    distance   S_ij = −‖q_i − k_j‖² / 2            Q (..., Tq, D), K (..., Tk, D)
    key norm   S_ij = q_iᵀ k_j − ‖k_j‖² / 2        likewise

Both return S (..., Tq, Tk), to be handed to `attend`; `...` stands for any leading axes, the same
on Q and K. Multiplied out, −‖q − k‖²/2 = qᵀk − ‖k‖²/2 − ‖q‖²/2, and the last term is the same for
all keys of a query, so it cancels in the softmax: `key_norm_scores` gives the weights of
`distance_scores` by one matrix product, and loses digits where norms are large beside distances.
If all keys have one norm, that cancels as well and what is left is the dot product.
Source: d2l 11.2, 11.3.1 and 11.3.6.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.scores import product, require_matching_widths
from npattn.kernels.weighted_sum import weighted_sum


class DistanceScoresCache(NamedTuple):
    """What distance_scores_backward reads."""

    difference: np.ndarray  # (..., Tq, Tk, D) q_i − k_j


def distance_scores(Q, K):
    """The nearer the key, the higher the score. Exact also where norms are large.

    Q  (..., Tq, D)
    K  (..., Tk, D)

    Returns S (..., Tq, Tk) and the cache, which holds Tq · Tk differences.
    Raises ValueError if widths or leading axes disagree.
    """
    require_matching_widths(Q, K)
    with np.errstate(invalid="ignore", over="ignore"):  # a masked key may hold anything
        difference = Q[..., :, None, :] - K[..., None, :, :]
        S = -0.5 * (difference * difference).sum(axis=-1)
    return S, DistanceScoresCache(difference)


def distance_scores_backward(dS, cache):
    """dQ and dK from dS: ∂S_ij/∂q_i = k_j − q_i, and ∂S_ij/∂k_j is its opposite."""
    pull = silent_product(dS[..., None], cache.difference)
    return -pull.sum(axis=-2), pull.sum(axis=-3)


class KeyNormScoresCache(NamedTuple):
    """What key_norm_scores_backward reads."""

    Q: np.ndarray  # (..., Tq, D)
    K: np.ndarray  # (..., Tk, D)


def key_norm_scores(Q, K):
    """`distance_scores` plus ‖q‖²/2, which the softmax does not notice.

    Q  (..., Tq, D)
    K  (..., Tk, D)

    Returns S (..., Tq, Tk) and the cache. Raises ValueError if widths or leading axes disagree.
    """
    require_matching_widths(Q, K)
    with np.errstate(invalid="ignore", over="ignore"):  # a masked key may hold anything
        S = product(Q, K) - 0.5 * (K * K).sum(axis=-1)[..., None, :]
    return S, KeyNormScoresCache(Q, K)


def key_norm_scores_backward(dS, cache):
    """dQ and dK from dS: ∂S_ij/∂q_i = k_j and ∂S_ij/∂k_j = q_i − k_j."""
    Q, K = cache
    dK = weighted_sum(dS.swapaxes(-1, -2), Q)
    dK -= silent_product(dS.sum(axis=-2)[..., None], K)
    return weighted_sum(dS, K), dK


def silent_product(factor, X):
    """factor ⊙ X, in which a factor of exactly 0 silences its entries of X, be they NaN or inf."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(factor == 0.0, 0.0, factor * X)
