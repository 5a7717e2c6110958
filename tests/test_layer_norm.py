"""Layer normalization."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.layer_norm import (
    LayerNormParams,
    init_layer_norm,
    layer_norm,
    layer_norm_backward,
)


@pytest.fixture
def params(draw):
    return LayerNormParams(draw(5), draw(5))


# ---- values ----


def test_by_hand():
    X, a = np.array([3.0, 5.0, 7.0]), math.sqrt(1.5)  # mean 5, variance 8/3
    params = LayerNormParams(np.array([1.0, 1.0, 2.0]), np.array([0.0, 10.0, 0.0]))
    Y, cache = layer_norm(X, params, eps=0.0)
    assert_allclose(Y, [-a, 10, 2 * a], rtol=1e-15)
    # dX̂ = (0, 3, 0), of mean 1, and mean(dX̂ X̂) = 0; rstd = √1.5 / 2
    dX, dparams = layer_norm_backward(np.array([0.0, 3.0, 0.0]), cache)
    assert_allclose(dX, [-a / 2, a, -a / 2], rtol=1e-15)
    assert_allclose(dparams.gain, [0, 0, 0], atol=1e-15)
    assert_array_equal(dparams.bias, [0, 3, 0])


def test_the_mean_and_the_deviation_of_each_row_are_kept(draw, params):
    X = draw(2, 3, 5)
    _, cache = layer_norm(X, params)
    assert_allclose(cache.mean, X.mean(axis=-1, keepdims=True), rtol=1e-12)
    assert_allclose(cache.rstd, (X.var(axis=-1, keepdims=True) + 1e-5) ** -0.5, rtol=1e-12)


def test_two_rows_of_the_text():
    Y, _ = layer_norm(np.array([[1.0, 2.0], [2.0, 3.0]]), init_layer_norm(2))
    one = 0.5 / math.sqrt(0.25 + 1e-5)
    assert_allclose(Y, [[-one, one], [-one, one]], rtol=1e-14)
    assert_allclose(Y, [[-1, 1], [-1, 1]], atol=5e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_initial_parameters_only_normalize(dtype):
    gain, bias = init_layer_norm(3, dtype=dtype)
    assert gain.dtype == bias.dtype == dtype
    assert_array_equal([gain, bias], [[1, 1, 1], [0, 0, 0]])


# ---- invariants ----


def test_rows_have_mean_zero_and_variance_one(draw):
    Y, _ = layer_norm(3.0 + 2.0 * draw(2, 3, 50), init_layer_norm(50), eps=0.0)
    assert_allclose(Y.mean(axis=-1), 0.0, atol=1e-15)
    assert_allclose(Y.var(axis=-1), 1.0, rtol=1e-14)


def test_shift_and_scale_of_a_row_do_not_matter(draw, params):
    X = draw(2, 3, 5)
    for moved in (X + 7.0, X * 100.0, X * 0.25 - 3.0):
        expected, _ = layer_norm(X, params, eps=0.0)
        assert_allclose(layer_norm(moved, params, eps=0.0)[0], expected, rtol=0, atol=1e-12)


def test_a_constant_row_becomes_the_bias_with_gradient_finite(draw, params):
    Y, cache = layer_norm(np.full((2, 5), 3.0), params)
    assert_array_equal(Y, np.broadcast_to(params.bias, (2, 5)))
    assert np.isfinite(layer_norm_backward(draw(2, 5), cache)[0]).all()


def test_gradients_of_rows_are_orthogonal_to_shift_and_scale(draw, params):
    _, cache = layer_norm(draw(2, 3, 5), params, eps=0.0)
    dX, _ = layer_norm_backward(draw(2, 3, 5), cache)
    assert_allclose(dX.sum(axis=-1), 0.0, atol=1e-13)
    assert_allclose((dX * cache.Xhat).sum(axis=-1), 0.0, atol=1e-13)


def test_each_row_is_normalized_by_itself(draw, params):
    X = draw(2, 3, 5)
    changed = X.copy()
    changed[1] = np.nan
    assert_array_equal(layer_norm(changed, params)[0][0], layer_norm(X, params)[0][0])


def test_far_from_zero_single_precision_still_holds(draw):
    X = np.round(draw(3, 64) * 8) + 4096.0  # exact in float32
    Y, _ = layer_norm(X.astype(np.float32), init_layer_norm(64, dtype=np.float32))
    assert_allclose(Y, layer_norm(X, init_layer_norm(64))[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("leading", [(0,), (2, 0)])
def test_no_rows(params, leading):
    Y, cache = layer_norm(np.zeros((*leading, 5)), params)
    assert Y.shape == (*leading, 5)
    dX, dparams = layer_norm_backward(Y, cache)
    assert dX.shape == Y.shape
    assert_array_equal([dparams.gain, dparams.bias], np.zeros((2, 5)))


@pytest.mark.parametrize("eps", [1e-5, np.float64(1e-3)], ids=["eps", "numpy eps"])
def test_convention(convention, draw, params, eps):
    convention(layer_norm, layer_norm_backward, draw(2, 3, 5), params, eps=eps)


# ---- gradients ----


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_gradients(assert_gradients, draw, params, leading, eps):
    assert_gradients(layer_norm, layer_norm_backward, draw(*leading, 5), params, eps=eps)


# ---- errors ----


@pytest.mark.parametrize("X, gain, bias", [
    ((2, 4), (5,), (5,)), ((2, 5), (4,), (5,)), ((2, 5), (5,), (1, 5)), ((), (5,), (5,)),
])
def test_widths_that_disagree(X, gain, bias):
    with pytest.raises(ValueError) as error:
        layer_norm(np.zeros(X), LayerNormParams(np.zeros(gain), np.zeros(bias)))
    assert f"got X {X}, gain {gain}, bias {bias}; wanted X (..., D)" in str(error.value)


@pytest.mark.parametrize("name", ["X", "gain", "bias"])
def test_other_dtypes(params, name):
    arrays = {"X": np.zeros((2, 5)), **params._asdict()}
    arrays[name] = arrays[name].astype(int)
    with pytest.raises(TypeError, match=f"^{name} must be float32 or float64, got int64"):
        layer_norm(arrays["X"], LayerNormParams(arrays["gain"], arrays["bias"]))
