"""The linear layer."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.linear import LinearParams, init_linear, linear, linear_backward


@pytest.fixture
def params(draw):
    return LinearParams(draw(4, 5), draw(5))


# ---- values ----


def test_by_hand():
    X, W = np.array([[1.0, 2.0], [0.0, -1.0]]), np.array([[1.0, 0.0, 3.0], [2.0, 1.0, 0.0]])
    Y, cache = linear(X, LinearParams(W, np.array([10.0, 20.0, 30.0])))
    assert_array_equal(Y, [[15, 22, 33], [8, 19, 30]])
    dX, dparams = linear_backward(np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 1.0]]), cache)
    assert_array_equal(dX, [[1, 2], [3, 2]])
    assert_array_equal(dparams.W, [[1, 0, 0], [2, -2, -1]])
    assert_array_equal(dparams.b, [1, 2, 1])


def test_without_a_bias(draw):
    X, params = draw(3, 4), LinearParams(draw(4, 5), None)
    Y, cache = linear(X, params)
    assert_array_equal(Y, X @ params.W)
    assert linear_backward(Y, cache)[1].b is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_initial_weights_fill_their_range_and_biases_are_zero(rng, dtype):
    W, b = init_linear(200, 100, rng, dtype=dtype)
    bound = math.sqrt(6 / 300)
    assert W.shape == (200, 100) and W.dtype == b.dtype == dtype
    assert 0.999 * bound < np.abs(W).max() <= bound * (1 + 1e-7)
    assert_allclose(W.var(), bound**2 / 3, rtol=0.03)
    assert_array_equal(b, np.zeros(100))
    assert init_linear(2, 3, rng, bias=False).b is None


# ---- invariants ----


def test_every_position_by_itself(draw, params):
    X = draw(2, 3, 4)
    Y, _ = linear(X, params)
    assert Y.shape == (2, 3, 5)
    for i in np.ndindex(2, 3):
        assert_allclose(Y[i], X[i] @ params.W + params.b, rtol=0, atol=1e-14)
        assert_allclose(Y[i], linear(X[i], params)[0], rtol=0, atol=1e-14)


def test_another_position_changes_nothing(draw, params):
    X = draw(6, 4)
    changed = X.copy()
    changed[3:] = np.nan
    assert_array_equal(linear(changed, params)[0][:3], linear(X, params)[0][:3])


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_position_without_gradient_cannot_leak(draw, params, poison):
    X, dY, silent = draw(6, 4), draw(6, 5), np.arange(6)[:, None] >= 3
    dY = np.where(silent, 0.0, dY)
    with np.errstate(invalid="ignore"):
        _, cache = linear(np.where(silent, poison, X), params)
    _, found = linear_backward(dY, cache)
    _, expected = linear_backward(dY, linear(X, params)[1])
    assert_array_equal(found.W, expected.W)
    assert_array_equal(found.b, expected.b)


def test_input_and_output_are_adjoint(draw):
    params, X, dY = LinearParams(draw(4, 5), None), draw(2, 3, 4), draw(2, 3, 5)
    Y, cache = linear(X, params)
    dX, dparams = linear_backward(dY, cache)
    assert_allclose((Y * dY).sum(), (X * dX).sum(), rtol=1e-12)
    assert_allclose((Y * dY).sum(), (params.W * dparams.W).sum(), rtol=1e-12)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0,)])
def test_no_positions(params, shape):
    Y, cache = linear(np.zeros((*shape, 4)), params)
    assert Y.shape == (*shape, 5)
    dX, dparams = linear_backward(Y, cache)
    assert dX.shape == (*shape, 4)
    assert not dparams.W.any() and not dparams.b.any()


@pytest.mark.parametrize("Din, Dout", [(0, 5), (4, 0)])
def test_no_columns(rng, Din, Dout):
    Y, cache = linear(np.ones((2, 3, Din)), init_linear(Din, Dout, rng))
    assert Y.shape == (2, 3, Dout) and not Y.any()
    dX, dparams = linear_backward(Y, cache)
    assert dX.shape == (2, 3, Din) and dparams.W.shape == (Din, Dout) and dparams.b.shape == (Dout,)
    assert not dX.any()


def test_convention(convention, draw, params):
    convention(linear, linear_backward, draw(2, 3, 4), params)
    convention(linear, linear_backward, draw(2, 3, 4), params._replace(b=None))


# ---- gradients ----


@pytest.mark.parametrize("leading", [(), (3,), (2, 3), (2, 3, 6)])
@pytest.mark.parametrize("bias", [True, False])
def test_gradients(assert_gradients, draw, params, leading, bias):
    params = params if bias else params._replace(b=None)
    assert_gradients(linear, linear_backward, draw(*leading, 4), params)


# ---- errors ----


@pytest.mark.parametrize("X, W, b, message", [
    ((2, 3), (4, 5), (5,), "^Din is 3 in X, 4 in W: got "),
    ((), (4, 5), (5,), "^X has 0 axes, and needs at least 1: got "),
    ((2, 4), (2, 4, 5), (5,), "^W has 3 axes, and needs 2: got "),
    ((2, 4), (4, 5), (4,), "^Dout is 5 in W, 4 in b: got "),
    ((2, 4), (4, 5), (1, 5), "^b has 2 axes, and needs 1: got "),
])
def test_shapes_that_do_not_fit(X, W, b, message):
    with pytest.raises(ValueError, match=message):
        linear(np.zeros(X), LinearParams(np.zeros(W), np.zeros(b)))


@pytest.mark.parametrize("name", ["X", "W", "b"])
def test_other_dtypes(params, name):
    arrays = {"X": np.zeros((2, 4)), "W": params.W, "b": params.b}
    arrays[name] = arrays[name].astype(np.float16)
    with pytest.raises(TypeError, match=f"^{name} must be float32 or float64, got float16"):
        linear(arrays["X"], LinearParams(arrays["W"], arrays["b"]))


def test_mixed_precision(params):
    with pytest.raises(TypeError, match="X is float32 but .* is float64"):
        linear(np.zeros((2, 4), np.float32), params)


def test_a_complex_step_in_the_bias_alone_is_kept(draw):
    X, W, b = draw(3, 2), draw(2, 4), draw(4)
    Y, _ = linear(X, LinearParams(W, b + 1e-20j))
    assert_array_equal(Y, linear(X, LinearParams(W, b))[0] + 1e-20j)
