"""The residual connection in its two orders, and the sum that is normalized."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.layer_norm import LayerNormParams, init_layer_norm, layer_norm
from npattn.kernels.linear import init_linear, linear, linear_backward
from npattn.models.residual import (
    add_norm, add_norm_backward, residual, residual_backward,
)

both_norms = pytest.mark.parametrize("norm", ["post", "pre"])


@pytest.fixture
def params(draw):
    return LayerNormParams(draw(5), draw(5))


def doubled(Z):
    return 2.0 * Z, None


def doubled_backward(dF, cache):
    return (2.0 * dF,)


def silent(Z):
    return np.zeros_like(Z), None


# ---- values ----


def test_post_norm_by_hand():
    X, params = np.array([[1.0, 3.0]]), init_layer_norm(2)
    Y, cache = residual(X, params, doubled, norm="post")
    assert_allclose(Y, [[-1, 1]], atol=2e-6)  # LN(3, 9)
    dX, dparams = residual_backward(np.array([[0.0, 7.0]]), cache, doubled_backward)
    assert_allclose(dX, np.zeros((1, 2)), atol=1e-5)  # two numbers, normalized, are -1 and 1
    assert_allclose(dparams, [[0, 7], [0, 7]], atol=1e-5)


def test_pre_norm_by_hand():
    X, params = np.array([[1.0, 5.0]]), init_layer_norm(2)
    Y, cache = residual(X, params, doubled, norm="pre")
    assert_allclose(Y, [[-1, 7]], atol=2e-5)  # X + 2 LN(X)
    dX, dparams = residual_backward(np.array([[3.0, 4.0]]), cache, doubled_backward)
    assert_allclose(dX, [[3, 4]], atol=1e-5)
    assert_allclose(dparams, [[-6, 8], [6, 8]], atol=1e-5)


def test_the_text_adds_and_normalizes_ones():
    # the sum is constant along each row, so that only the bias is left
    X = np.ones((2, 3, 4))
    Y, _ = add_norm(X, X, init_layer_norm(4))
    assert_array_equal(Y, np.zeros((2, 3, 4)))


def test_post_norm_is_the_sublayer_and_add_norm(draw, params):
    X = draw(2, 3, 5)
    Y, _ = residual(X, params, doubled, norm="post", eps=0.1)
    assert_array_equal(Y, add_norm(X, 2.0 * X, params, eps=0.1)[0])
    assert_array_equal(Y, layer_norm(3.0 * X, params, eps=0.1)[0])


# ---- invariants ----


@both_norms
def test_a_silent_sublayer_leaves_the_plain_path(draw, params, norm):
    X = draw(2, 3, 5)
    Y, _ = residual(X, params, silent, norm=norm)
    assert_array_equal(Y, X if norm == "pre" else layer_norm(X, params)[0])


def test_dropout_falls_on_the_sublayer_only(draw, params, rng):
    X, dY = draw(2, 3, 5), draw(2, 3, 5)
    Y, cache = residual(X, params, doubled, norm="pre", dropout=0.5, rng=rng)
    keep = cache.dropped.keep
    assert_array_equal(Y, X + 2.0 * layer_norm(X, params)[0] * keep)
    assert set(keep.ravel()) == {0.0, 2.0}
    dX, _ = residual_backward(dY, cache, lambda dF, cache: (np.zeros_like(dF),))
    assert_array_equal(dX, dY)


@both_norms
def test_without_a_generator_nothing_is_dropped(draw, params, norm):
    X = draw(2, 3, 5)
    assert_array_equal(residual(X, params, doubled, norm=norm, dropout=0.5)[0],
                       residual(X, params, doubled, norm=norm)[0])


# ---- gradients ----


def around(f_params_forward):
    def forward(X, norm_params, params, **options):
        return residual(X, norm_params, lambda Z: f_params_forward(Z, params), **options)

    return forward


def around_backward(dY, cache):
    return residual_backward(dY, cache, linear_backward)


@both_norms
@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_gradients(assert_gradients, convention, draw, params, norm, rate, rng, shake):
    options = dict(norm=norm, dropout=rate, rng=np.random.default_rng(3))
    args = draw(2, 3, 5), params, shake(init_linear(5, 5, rng))
    assert_gradients(around(linear), around_backward, *args, **options)
    convention(around(linear), around_backward, *args, **options)


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_gradients_of_add_norm(assert_gradients, convention, draw, params, rate):
    options = dict(dropout=rate, rng=np.random.default_rng(3))
    args = draw(2, 3, 5), draw(2, 3, 5), params
    assert_gradients(add_norm, add_norm_backward, *args, **options)
    convention(add_norm, add_norm_backward, *args, **options)


# ---- errors ----


@pytest.mark.parametrize("norm", ["Post", "", None])
def test_norms_that_are_none(params, norm):
    with pytest.raises(ValueError, match=f'norm must be "post", "pre" or "sandwich", got {norm!r}'):
        residual(np.zeros((2, 5)), params, doubled, norm=norm)


@both_norms
def test_a_sublayer_that_changes_the_shape(params, norm):
    with pytest.raises(ValueError, match=r"F must have the shape \(2, 5\)"):
        residual(np.zeros((2, 5)), params, lambda Z: (Z[:1], None), norm=norm)
    with pytest.raises(TypeError, match="^X must be a NumPy array, got list"):
        add_norm([[0.0] * 5], np.zeros((1, 5)), params)
