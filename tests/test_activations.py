"""ReLU, GELU and its tanh form."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.activations import (
    gelu,
    gelu_backward,
    gelu_tanh,
    gelu_tanh_backward,
    relu,
    relu_backward,
)

PAIRS = [(relu, relu_backward), (gelu, gelu_backward), (gelu_tanh, gelu_tanh_backward)]
every_pair = pytest.mark.parametrize("f, f_backward", PAIRS, ids=lambda f: f.__name__)
every_gelu = pytest.mark.parametrize("f, f_backward", PAIRS[1:], ids=lambda f: f.__name__)
GRID = np.linspace(-8.0, 8.0, 1601)

# ---- values ----


def test_relu_by_hand():
    Y = relu(np.array([-2.0, -0.0, 0.0, 1e-300, 3.0]))
    assert_array_equal(Y, [0, 0, 0, 1e-300, 3])
    assert_array_equal(relu_backward(np.full(5, 7.0), Y), [0, 0, 0, 7, 7])


def test_relu_of_a_complex_number_looks_at_its_real_part():
    assert_array_equal(relu(np.array([1e-20j, -1 + 1j, 2 - 1j])), [0, 0, 2 - 1j])


@pytest.mark.parametrize("x", [-10.0, -6.0, -1.0, -0.1, 0.0, 0.1, 1.0, 6.0, 30.0])
def test_gelu_is_the_share_of_the_normal_distribution(x):
    Y, cache = gelu(np.array([x]))
    share = math.erfc(-x / math.sqrt(2)) / 2
    assert_allclose(Y, [x * share], rtol=1e-13)
    density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    assert_allclose(gelu_backward(np.ones(1), cache), [share + x * density], rtol=1e-13)


def test_gelu_tanh_by_hand():
    Y, _ = gelu_tanh(np.array([-1.0, 0.0, 2.0]))
    half = [math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)) / 2 for x in (-1, 2)]
    assert_allclose(Y, [-(0.5 + half[0]), 0, 2 * (0.5 + half[1])], rtol=1e-14)


# ---- invariants ----


@every_gelu
def test_gelus_of_opposite_numbers_differ_by_the_number(f, f_backward):
    # Φ(x) + Φ(−x) = 1
    assert_allclose(f(GRID)[0] - f(-GRID)[0], GRID, rtol=1e-14)


@every_gelu
def test_slopes_of_opposite_numbers_add_up_to_one(f, f_backward):
    slopes = f_backward(np.ones(GRID.shape), f(GRID)[1])
    assert_allclose(slopes + slopes[::-1], 1.0, rtol=1e-13)
    assert slopes[len(GRID) // 2] == 0.5


def test_the_two_gelus_are_as_close_as_the_page_says():
    error = np.abs(gelu(GRID)[0] - gelu_tanh(GRID)[0]).max()
    assert 4e-4 < error < 5e-4


def test_far_from_zero_a_gelu_is_a_relu():
    X = np.array([-40.0, -20.0, 20.0, 40.0])
    for f, f_backward in PAIRS[1:]:
        Y, cache = f(X)
        assert_allclose(Y, relu(X), atol=1e-80)
        assert_allclose(f_backward(np.ones(4), cache), [0, 0, 1, 1], atol=1e-80)


@every_pair
def test_what_is_not_a_number_stays_so(f, f_backward):
    Y = f(np.array([np.nan, 1.0]))
    assert_array_equal(np.isnan(Y if f is relu else Y[0]), [True, False])


@every_pair
@pytest.mark.parametrize("large, dtype", [(1e19, "f4"), (3e38, "f4"), (1e200, "f8"), (1e308, "f8")])
def test_large_numbers_pass_or_vanish_without_warning(f, f_backward, large, dtype):
    X = np.array([-large, large], dtype)
    Y, cache = f(X) if f is not relu else (f(X),) * 2
    assert_array_equal(Y, [0, X[1]])
    assert_array_equal(f_backward(np.ones_like(X), cache), [0, 1])


@every_pair
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (2, 3, 4)])
def test_any_shape(f, f_backward, draw, shape):
    X = np.asarray(draw(*shape))
    Y, cache = f(X) if f is not relu else (f(X),) * 2
    assert Y.shape == f_backward(Y, cache).shape == shape


@every_pair
def test_convention(convention, f, f_backward, draw):
    convention(f, f_backward, draw(2, 3, 4))


# ---- gradients ----


@every_pair
def test_gradients(assert_gradients, f, f_backward, draw):
    assert_gradients(f, f_backward, draw(2, 3, 4))
    assert_gradients(f, f_backward, np.array([-12.0, -5.0, -0.5, 0.01, 1.0, 5.0, 12.0]))


# ---- errors ----


@every_pair
@pytest.mark.parametrize("X, came", [
    (np.zeros(3, np.float16), "float16"), (np.zeros(3, np.int64), "int64"),
    ([0.0], "list"), (0.5, "float"),
])
def test_other_dtypes(f, f_backward, X, came):
    with pytest.raises(TypeError, match=f"^X must be .*got {came}"):
        f(X)
