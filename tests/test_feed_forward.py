"""The position-wise feed-forward network."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.activations import gelu, gelu_tanh, relu
from npattn.kernels.linear import LinearParams, init_linear
from npattn.kernels.gated import geglu, swiglu
from npattn.models.feed_forward import (
    ACTIVATIONS,
    FeedForwardParams,
    feed_forward,
    feed_forward_backward,
    init_feed_forward,
)
from npattn.trees import tree_items

every_activation = pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh"])


@pytest.fixture
def params(rng, shake):
    return shake(init_feed_forward(5, 7, rng))


# ---- values ----


def test_by_hand():
    params = FeedForwardParams(
        LinearParams(np.array([[1.0, -1.0]]), np.array([0.0, 1.0])),
        LinearParams(np.array([[2.0], [3.0]]), np.array([5.0])),
    )
    # hidden (2, −1) and (−3, 4), activated (2, 0) and (0, 4)
    Y, cache = feed_forward(np.array([[2.0], [-3.0]]), params)
    assert_array_equal(Y, [[9], [17]])
    dX, dparams = feed_forward_backward(np.array([[1.0], [10.0]]), cache)
    assert_array_equal(dX, [[2], [-30]])
    assert_array_equal(dparams.hidden.W, [[4, -90]])
    assert_array_equal(dparams.hidden.b, [2, 30])
    assert_array_equal(dparams.output.W, [[2], [40]])
    assert_array_equal(dparams.output.b, [11])


def test_equal_positions_of_the_text_stay_equal(rng):
    # 4 units in, 4 hidden, 8 out
    params = FeedForwardParams(init_linear(4, 4, rng), init_linear(4, 8, rng))
    Y, _ = feed_forward(np.ones((2, 3, 4)), params)
    assert Y.shape == (2, 3, 8)
    assert_allclose(Y, np.broadcast_to(Y[0, 0], Y.shape), rtol=1e-14)


@pytest.mark.parametrize("activation, f", [
    ("relu", relu), ("gelu", lambda X: gelu(X)[0]), ("gelu_tanh", lambda X: gelu_tanh(X)[0]),
])
def test_the_activation_stands_between_the_layers(draw, params, activation, f):
    X, ((W1, b1), (W2, b2)) = draw(2, 3, 5), params
    Y, _ = feed_forward(X, params, activation=activation)
    assert_allclose(Y, f(X @ W1 + b1) @ W2 + b2, rtol=0, atol=1e-13)


def test_relu_is_the_default(draw, params):
    X = draw(2, 3, 5)
    assert_array_equal(feed_forward(X, params)[0], feed_forward(X, params, activation="relu")[0])
    assert set(ACTIVATIONS) == {"relu", "gelu", "gelu_tanh", "silu"}


def test_initial_parameters(rng):
    shapes = [(path, X.shape) for path, X in tree_items(init_feed_forward(5, 7, rng))]
    assert shapes == [
        ("hidden.W", (5, 7)), ("hidden.b", (7,)), ("output.W", (7, 5)), ("output.b", (5,))
    ]
    bare = init_feed_forward(5, 7, rng, bias=False, dtype=np.float32)
    assert [(path, X.dtype) for path, X in tree_items(bare)] == [
        ("hidden.W", np.float32), ("output.W", np.float32)
    ]


# ---- invariants ----


@every_activation
def test_no_position_sees_another(draw, params, activation):
    X = draw(4, 5)
    changed = X.copy()
    changed[2:] += 1.0
    Y, other = (feed_forward(Z, params, activation=activation)[0] for Z in (X, changed))
    assert_array_equal(other[:2], Y[:2])
    assert (other[2:] != Y[2:]).all()


@pytest.mark.parametrize("shape", [(0, 3, 5), (2, 0, 5)])
def test_no_positions(params, shape):
    Y, cache = feed_forward(np.zeros(shape), params)
    assert Y.shape == feed_forward_backward(Y, cache)[0].shape == shape


@every_activation
def test_convention(convention, draw, params, activation):
    convention(feed_forward, feed_forward_backward, draw(2, 3, 5), params, activation=activation)


# ---- gradients ----


@every_activation
@pytest.mark.parametrize("bias", [True, False])
def test_gradients(assert_gradients, rng, shake, draw, activation, bias):
    args = draw(2, 3, 5), shake(init_feed_forward(5, 7, rng, bias=bias))
    assert_gradients(feed_forward, feed_forward_backward, *args, activation=activation)


# ---- errors ----


@pytest.mark.parametrize("activation", ["swish", None, relu])
def test_unknown_activations(params, activation):
    message = 'activation must be "relu", "gelu", "gelu_tanh" or "silu", got'
    with pytest.raises(ValueError, match=message):
        feed_forward(np.zeros((3, 5)), params, activation=activation)


def test_widths_that_disagree(rng, params):
    with pytest.raises(ValueError, match="^Din is 4 in X, 5 in W"):
        feed_forward(np.zeros((3, 4)), params)
    with pytest.raises(ValueError, match="^Din is 7 in X, 6 in W"):
        feed_forward(np.zeros((3, 5)), params._replace(output=init_linear(6, 5, rng)))


@pytest.mark.parametrize("activation, kernel", [("silu", swiglu), ("gelu", geglu)])
def test_a_gate_is_the_gated_kernel_between_the_layers(draw, rng, shake, activation, kernel):
    X, params = draw(2, 3, 5), shake(init_feed_forward(5, 7, rng, gated=True))
    Y, _ = feed_forward(X, params, activation=activation)
    A, U = X @ params.gate.W + params.gate.b, X @ params.hidden.W + params.hidden.b
    expected = kernel(A, U)[0] @ params.output.W + params.output.b
    assert_allclose(Y, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_with_a_gate(assert_gradients, convention, draw, rng, shake, activation):
    args = draw(2, 3, 5), shake(init_feed_forward(5, 7, rng, gated=True))
    assert_gradients(feed_forward, feed_forward_backward, *args, activation=activation)
    convention(feed_forward, feed_forward_backward, *args, activation=activation)
