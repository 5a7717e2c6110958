"""The feed-forward network inside its residual connection."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from npattn.kernels.layer_norm import init_layer_norm, layer_norm
from npattn.models.feed_forward import feed_forward, init_feed_forward
from npattn.models.feed_forward_sublayer import (
    feed_forward_sublayer,
    feed_forward_sublayer_backward,
)
from npattn.trees import tree_leaves, tree_map

both_norms = pytest.mark.parametrize("norm", ["post", "pre"])


@pytest.fixture
def args(rng, draw, shake):
    """X (2, 5, 4), a network 6 wide, and a norm."""
    return draw(2, 5, 4), *map(shake, (init_feed_forward(4, 6, rng), init_layer_norm(4)))


# ---- values ----


@both_norms
def test_the_two_orders(args, norm):
    X, params, norm_params = args
    Y, _ = feed_forward_sublayer(*args, norm=norm, activation="gelu")
    Z = X if norm == "post" else layer_norm(X, norm_params)[0]
    sum_ = X + feed_forward(Z, params, activation="gelu")[0]
    assert_array_equal(Y, sum_ if norm == "pre" else layer_norm(sum_, norm_params)[0])


def test_a_silent_network_leaves_what_was_there(args):
    X, params, norm_params = args
    Y, cache = feed_forward_sublayer(X, tree_map(np.zeros_like, params), norm_params, norm="pre")
    assert_array_equal(Y, X)
    dY = np.random.default_rng(0).standard_normal(X.shape)
    dX, _, dnorm_params = feed_forward_sublayer_backward(dY, cache)
    assert_array_equal(dX, dY)
    assert not any(leaf.any() for leaf in tree_leaves(dnorm_params))


def test_dropout_silences_single_numbers_of_the_network(args):
    X, params, norm_params = args
    Y, _ = feed_forward_sublayer(*args, norm="pre")
    dropped, _ = feed_forward_sublayer(
        *args, norm="pre", dropout=0.5, rng=np.random.default_rng(0)
    )
    silent = dropped == X
    assert 0.2 < silent.mean() < 0.8
    np.testing.assert_allclose((dropped - X)[~silent], 2 * (Y - X)[~silent], rtol=1e-12)
    assert_array_equal(feed_forward_sublayer(*args, norm="pre", dropout=0.5)[0], Y)


# ---- invariants and gradients ----


@both_norms
def test_no_position_hears_another(args, norm):
    X, *rest = args
    Y, _ = feed_forward_sublayer(X, *rest, norm=norm)
    order = [3, 0, 4, 1, 2]
    assert_array_equal(feed_forward_sublayer(X[:, order], *rest, norm=norm)[0], Y[:, order])


@both_norms
@pytest.mark.parametrize("options", [
    {}, {"activation": "gelu", "dropout": 0.3, "rng": np.random.default_rng(3)},
], ids=["plain", "gelu and dropout"])
def test_gradients(assert_gradients, args, norm, options):
    assert_gradients(
        feed_forward_sublayer, feed_forward_sublayer_backward, *args, norm=norm, **options
    )


@both_norms
def test_convention(convention, args, norm):
    convention(
        feed_forward_sublayer, feed_forward_sublayer_backward, *args,
        norm=norm, dropout=0.3, rng=np.random.default_rng(3),
    )


# ---- errors ----


@pytest.mark.parametrize("options, message", [
    ({"norm": "none"}, 'norm must be "post" or "pre", got \'none\''),
    ({"activation": "swish"}, 'activation must be "relu", .* got .swish'),
    ({"dropout": 1.0}, r"rate must lie in \[0, 1\), got 1.0"),
])
def test_options_that_make_no_sense(args, options, message):
    with pytest.raises(ValueError, match=message):
        feed_forward_sublayer(*args, **options)
