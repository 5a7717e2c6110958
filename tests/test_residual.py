"""The residual connection in its two orders."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.layer_norm import LayerNormParams, init_layer_norm, layer_norm
from npattn.models.residual import (
    enter_residual,
    enter_residual_backward,
    leave_residual,
    leave_residual_backward,
)

both_norms = pytest.mark.parametrize("norm", ["post", "pre"])


@pytest.fixture
def params(draw):
    return LayerNormParams(draw(5), draw(5))


# ---- values ----


def test_post_norm_by_hand():
    X, F, params = np.array([[1.0, 2.0]]), np.array([[0.0, 3.0]]), init_layer_norm(2)
    Z, enter = enter_residual(X, params, norm="post")
    assert_array_equal(Z, X)
    Y, leave = leave_residual(X, F, params, norm="post")
    assert_allclose(Y, [[-1, 1]], atol=2e-6)  # LN(1, 5)
    dX, dparams = enter_residual_backward(np.array([[3.0, 4.0]]), enter)
    assert_array_equal(dX, [[3, 4]])
    assert_array_equal(dparams, np.zeros((2, 2)))
    dX, dF, dparams = leave_residual_backward(np.array([[0.0, 7.0]]), leave)
    assert_array_equal(dX, dF)
    assert_allclose(dparams, [[0, 7], [0, 7]], atol=1e-5)


def test_pre_norm_by_hand():
    X, F, params = np.array([[1.0, 5.0]]), np.array([[0.5, 3.0]]), init_layer_norm(2)
    Z, _ = enter_residual(X, params, norm="pre")
    assert_allclose(Z, [[-1, 1]], atol=2e-6)
    Y, leave = leave_residual(X, F, params, norm="pre")
    assert_array_equal(Y, [[1.5, 8]])
    dX, dF, dparams = leave_residual_backward(np.array([[3.0, 4.0]]), leave)
    assert_array_equal([dX, dF], [[[3, 4]]] * 2)
    assert_array_equal(dparams, np.zeros((2, 2)))


def test_the_text_adds_and_normalizes_ones():
    # the sum is constant along each row, so that only the bias is left
    X = np.ones((2, 3, 4))
    Y, _ = leave_residual(X, X, init_layer_norm(4), norm="post")
    assert_array_equal(Y, np.zeros((2, 3, 4)))


# ---- invariants ----


@both_norms
def test_a_silent_sublayer_leaves_the_plain_path(draw, params, norm):
    X = draw(2, 3, 5)
    Y, _ = leave_residual(X, np.zeros_like(X), params, norm=norm)
    assert_array_equal(Y, X if norm == "pre" else layer_norm(X, params)[0])


def test_dropout_falls_on_the_sublayer_only(draw, params, rng):
    X, F, options = draw(2, 3, 5), draw(2, 3, 5), dict(dropout_rate=0.5, rng=rng)
    Y, cache = leave_residual(X, F, params, norm="pre", **options)
    assert_array_equal(Y, X + F * cache.dropped.keep)
    assert set(cache.dropped.keep.ravel()) == {0.0, 2.0}
    dX, dF, _ = leave_residual_backward(F, cache)
    assert_array_equal(dX, F)
    assert_array_equal(dF, F * cache.dropped.keep)


@both_norms
def test_without_a_generator_nothing_is_dropped(draw, params, norm):
    X, F = draw(2, 3, 5), draw(2, 3, 5)
    assert_array_equal(
        leave_residual(X, F, params, norm=norm, dropout_rate=0.5)[0],
        leave_residual(X, F, params, norm=norm)[0],
    )


@both_norms
def test_convention(convention, draw, params, norm):
    convention(enter_residual, enter_residual_backward, draw(2, 3, 5), params, norm=norm)
    options = dict(norm=norm, dropout_rate=0.4, rng=np.random.default_rng(3))
    args = draw(2, 3, 5), draw(2, 3, 5), params
    convention(leave_residual, leave_residual_backward, *args, **options)


# ---- gradients ----


@both_norms
@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_gradients(assert_gradients, draw, params, norm, rate, rng):
    assert_gradients(enter_residual, enter_residual_backward, draw(2, 3, 5), params, norm=norm)
    options = dict(norm=norm, dropout_rate=rate, rng=rng)
    args = draw(2, 3, 5), draw(2, 3, 5), params
    assert_gradients(leave_residual, leave_residual_backward, *args, **options)


# ---- errors ----


@pytest.mark.parametrize("norm", ["Post", "", None])
def test_norms_that_are_none(params, norm):
    X = np.zeros((2, 5))
    with pytest.raises(ValueError, match=f'norm must be "post" or "pre", got {norm!r}'):
        enter_residual(X, params, norm=norm)
    with pytest.raises(ValueError, match=f'norm must be "post" or "pre", got {norm!r}'):
        leave_residual(X, X, params, norm=norm)


@both_norms
def test_shapes_that_differ(params, norm):
    with pytest.raises(TypeError, match="^X must be a NumPy array, got list"):
        leave_residual([[0.0] * 5], np.zeros((1, 5)), params, norm=norm)
    with pytest.raises(ValueError, match=r"X \(2, 5\) and F \(1, 5\)"):
        leave_residual(np.zeros((2, 5)), np.zeros((1, 5)), params, norm=norm)
