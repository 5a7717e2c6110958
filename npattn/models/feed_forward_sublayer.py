"""The last sublayer of every block: the feed-forward network inside its residual connection.

    Z = enter_residual(X)      F = feed_forward(Z)      Y = leave_residual(X, F)

X, Z, F and Y are (..., T, D). Where the norm stands, before the network or behind the sum, is the
page residual.py. Kernels composed, no new calculus: X and the norm's parameters go to two places
each, so their gradients are sums.
Source: Vaswani et al. 2017, sections 3.1 and 3.3.
"""

from typing import NamedTuple

import numpy as np

from npattn.models.feed_forward import (
    FeedForwardCache,
    feed_forward,
    feed_forward_backward,
)
from npattn.models.residual import (
    EnterCache,
    LeaveCache,
    enter_residual,
    enter_residual_backward,
    leave_residual,
    leave_residual_backward,
)
from npattn.trees import tree_map


class FeedForwardSublayerCache(NamedTuple):
    """What feed_forward_sublayer_backward reads, in the order of the forward."""

    enter: EnterCache
    feed_forward: FeedForwardCache
    leave: LeaveCache


def feed_forward_sublayer(
    X, params, norm_params, *, norm="post", activation="relu", dropout=0.0, rng=None
):
    """Every position thinks for itself, and what it finds is added to what it was.

    X            (..., T, D)
    params       FeedForwardParams
    norm_params  LayerNormParams (D,)
    norm         "post" or "pre"
    activation   of the network: "relu", "gelu" or "gelu_tanh"
    dropout      share dropped of the network's output while rng, a Generator, is given

    Returns Y (..., T, D) and the cache.
    """
    Z, enter = enter_residual(X, norm_params, norm=norm)
    F, feed = feed_forward(Z, params, activation=activation)
    Y, leave = leave_residual(X, F, norm_params, norm=norm, dropout_rate=dropout, rng=rng)
    return Y, FeedForwardSublayerCache(enter, feed, leave)


def feed_forward_sublayer_backward(dY, cache):
    """dX, dparams and dnorm_params from dY: the forward's calls, undone in reverse."""
    dX, dF, dnorm_out = leave_residual_backward(dY, cache.leave)
    dZ, dparams = feed_forward_backward(dF, cache.feed_forward)
    dX_in, dnorm_in = enter_residual_backward(dZ, cache.enter)
    return dX + dX_in, dparams, tree_map(np.add, dnorm_in, dnorm_out)
