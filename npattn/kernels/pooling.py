"""Nadaraya–Watson pooling: an average of the values, in which near keys weigh more.

    u_ij = ‖q_i − k_j‖                           distances   (..., Tq, Tk)
    P_ij = κ(u_ij) / Σ_l κ(u_il)                 weights     (..., Tq, Tk)
    O = P V                                      output      (..., Tq, Dv)

κ is a kernel: `gaussian`, `boxcar`, `constant`, `triangular`, `epanechnikov`. Factors such as
1/√2π cancel in P, so each has κ(0) = 1. The kernel that d2l calls "Epanechikov" is the triangular.
With the Gaussian P is a softmax, P = softmax(−u²/2), and its width can be learned:

    S_ij = −‖w ⊙ (q_i − k_j)‖² / 2,   P = softmax(S)          w (D,) or (1,), one over the width

`...` stands for any leading axes, the same on queries Q (..., Tq, D), keys K (..., Tk, D) and
values V (..., Tk, Dv). The numbers of a curve are queries with D = 1: x[:, None].
Source: Nadaraya 1964; Watson 1964; Epanechnikov 1969; d2l 11.2 (Chinese edition 10.2).
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.attention import AttendCache, attend, attend_backward
from npattn.kernels.distances import (
    DistanceScoresCache, distance_scores, distance_scores_backward,
)
from npattn.kernels.floats import quiet
from npattn.kernels.shapes import require_mask, require_shapes
from npattn.kernels.sums import unbroadcast, weighted_sum, zeros_win


def gaussian(u) -> np.ndarray:
    """exp(−u²/2): every key counts, those beyond three widths hardly."""
    return np.exp(-0.5 * (u * u))


def boxcar(u) -> np.ndarray:
    """1 within a distance of 1, that included, else 0: the plain mean of the neighbours."""
    return (np.abs(u) <= 1.0).astype(u.dtype)


def constant(u) -> np.ndarray:
    """1 everywhere: the mean of all values, wherever the query lies."""
    return np.ones_like(u)


def triangular(u) -> np.ndarray:
    """1 − |u| within a distance of 1, else 0."""
    return np.maximum(1.0 - np.abs(u), 0.0)


def epanechnikov(u) -> np.ndarray:
    """1 − u² within a distance of 1, else 0: the kernel of least mean square error."""
    return np.maximum(1.0 - u * u, 0.0)


KERNELS = {f.__name__: f for f in (gaussian, boxcar, constant, triangular, epanechnikov)}


def leave_one_out_mask(T) -> np.ndarray:
    """Every query may attend to all keys but its own: a (T, T) mask that is False where i = j.

    A regression that may look at the value it has to predict learns to return that value.
    """
    return ~np.eye(T, dtype=bool)


@quiet
def nadaraya_watson(Q, K, V, kernel=gaussian, mask=None) -> tuple[np.ndarray, np.ndarray]:
    """The average of the values near each query. Nothing is learned.

    Q       (..., Tq, D)   where to predict
    K       (..., Tk, D)   where values are known; in units of the kernel's width
    V       (..., Tk, Dv)  the values
    kernel  function from distances ≥ 0 to weights ≥ 0, entry by entry
    mask    bool, broadcastable to (..., Tq, Tk); True means "may attend"

    Returns O (..., Tq, Dv) and the weights P (..., Tq, Tk). Rows of P sum to 1; a query without
    neighbours gets weights 0 and output 0. Raises ValueError if shapes disagree.

    >>> x, y = np.array([[0.0], [1.0], [5.0]]), np.array([[1.0], [3.0], [9.0]])
    >>> nadaraya_watson(np.array([[0.5]]), x, y, boxcar)[0].tolist()
    [[2.0]]
    """
    require_shapes("Q ... Tq D, K ... Tk D, V ... Tk Dv", Q, K, V)
    S, _ = distance_scores(Q, K)
    E = kernel(np.sqrt(-2.0 * S))
    if mask is not None:
        E = np.where(require_mask(mask, S.shape), E, 0.0)
    Z = E.sum(axis=-1, keepdims=True)
    P = E / np.where(Z == 0.0, 1.0, Z)
    return weighted_sum(P, V), P


class GaussianPoolingCache(NamedTuple):
    """Everything that gaussian_pooling_backward reads. P is also what a heatmap draws."""

    Q: np.ndarray  # (..., Tq, D)
    K: np.ndarray  # (..., Tk, D)
    w: np.ndarray  # (D,) or (1,)
    distance: DistanceScoresCache
    attended: AttendCache

    @property
    def P(self):
        """The weights, (..., Tq, Tk)."""
        return self.attended.P


@quiet
def gaussian_pooling(Q, K, V, w, mask=None) -> tuple[np.ndarray, GaussianPoolingCache]:
    """`nadaraya_watson` with the Gaussian kernel of width 1/w, where w is learned.

    Q, K, V  (..., Tq, D), (..., Tk, D), (..., Tk, Dv)
    w        (D,), or (1,) for one width in all directions
    mask     bool, broadcastable to (..., Tq, Tk); `leave_one_out_mask` when learning w

    Returns O (..., Tq, Dv) and the cache. Far from all keys the nearest one takes all, since a
    softmax, unlike a quotient of kernels, does not underflow to 0/0.
    Raises ValueError if shapes disagree.

    >>> x, y = np.array([[-1.0], [1.0]]), np.array([[1.0], [3.0]])
    >>> gaussian_pooling(np.array([[0.0]]), x, y, np.ones(1))[0].tolist()
    [[2.0]]
    """
    require_shapes("Q ... Tq D, K ... Tk D, V ... Tk Dv, w Dw", Q, K, V, w)
    if len(w) not in (1, Q.shape[-1]):
        raise ValueError(f"w {w.shape} does not fit Q {Q.shape}: w must be (D,) or (1,)")
    S, distance = distance_scores(Q * w, K * w)
    O, attended = attend(S, V, mask)
    return O, GaussianPoolingCache(Q, K, w, distance, attended)


@quiet
def gaussian_pooling_backward(dO, cache: GaussianPoolingCache) -> tuple[np.ndarray, ...]:
    """dQ, dK, dV and dw from dO: Q w and K w both hand a share to w."""
    Q, K, w, distance, attended = cache
    # O = softmax(S) V
    dS, dV = attend_backward(dO, attended)
    # S = −‖Q w − K w‖² / 2
    dQw, dKw = distance_scores_backward(dS, distance)
    dw = unbroadcast(zeros_win(dQw, Q), w) + unbroadcast(zeros_win(dKw, K), w)
    return dQw * w, dKw * w, dV, dw
