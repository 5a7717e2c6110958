"""Pooling by similarity, as the English edition has it, untrained, and the Chinese one, trained.

The numbers of a curve are queries, keys and values one wide. Which axis is whose differs between
the editions: attention_w of the English one has axes (keys, queries), attention_weights of the
Chinese one (queries, keys).
Source: d2l 11.2; in the Chinese edition 10.2.
"""

import numpy as np

from npattn.d2l._layers import Layer
from npattn.d2l._tensors import takes_tensors
from npattn.kernels import pooling


@takes_tensors
def epanechikov(x):
    """1 − |x| within a distance of 1, else 0: what the text calls so is the triangular kernel.

    Epanechnikov's own, 1 − x², is `npattn.kernels.pooling.epanechnikov`.
    """
    return pooling.triangular(x)


def gaussian_with_width(sigma):
    """The kernel exp(−x²/(2σ²)), a function of x."""
    return takes_tensors(lambda x: pooling.gaussian(x / sigma))


@takes_tensors
def nadaraya_watson(x_train, y_train, x_val, kernel):
    """The average of the values near each query. Nothing is learned.

    x_train, y_train  (nk,)  keys and values
    x_val             (nq,)  queries
    kernel            function from distances ≥ 0 to weights ≥ 0, or to booleans, entry by entry

    Returns y_hat (nq,) and attention_w (nk, nq), whose columns sum to 1. A query without
    neighbours gets weights and prediction 0, where the text divides 0 by 0.
    """
    if x_train.ndim != 1 or y_train.shape != x_train.shape or x_val.ndim != 1:
        raise ValueError(
            f"x_train {x_train.shape} and y_train {y_train.shape} must be (nk,) alike, "
            f"and x_val {x_val.shape} must be (nq,)"
        )
    y_hat, P = pooling.nadaraya_watson(
        x_val[:, None], x_train[:, None], y_train[:, None],
        kernel=lambda u: np.asarray(kernel(u), u.dtype),
    )
    return y_hat[:, 0], P.T


class NWKernelRegression(Layer):
    """Regression with a Gaussian kernel of width 1/w, in which the one number w is learned.

    Call it with queries (nq,), keys and values (nq, nk), so that each query has keys of its own:
    in training all but itself. It returns (nq,), and backward the gradients of all three;
    `attention_weights` is (nq, nk), queries by keys. `w` (1,) starts between 0 and 1.

    The text trains it by five steps of rate 0.5 on the sum of the squared errors. These leap
    over the best w, and mostly end at a kernel far too narrow; with the mean they do not.
    """

    def __init__(self, *, rng=None, dtype=np.float64):
        w = np.random.default_rng(rng).random(1, dtype=dtype)
        super().__init__(
            pooling.gaussian_pooling, pooling.gaussian_pooling_backward, w, slot="w"
        )

    @property
    def w(self):
        """The parameter where the text has it; all of `params`."""
        return self.params

    def _forward(self, queries, keys, values):
        if keys.ndim != 2 or values.shape != keys.shape or queries.shape != keys.shape[:1]:
            raise ValueError(
                f"keys {keys.shape} and values {values.shape} must be (nq, nk) alike, "
                f"and queries {queries.shape} must be (nq,)"
            )
        O, cache = super()._forward(queries[:, None, None], keys[..., None], values[..., None])
        return O[:, 0, 0], cache

    def _backward(self, dY, cache):
        dQ, dK, dV = super()._backward(dY[:, None, None], cache)
        return dQ[:, 0, 0], dK[..., 0], dV[..., 0]

    def _weights(self, cache):
        return cache.P[:, 0]
