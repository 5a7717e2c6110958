"""Splitting into heads, and merging them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.heads import (
    merge_heads,
    merge_heads_backward,
    split_heads,
    split_heads_backward,
)

# The backwards of these two linear maps need no cache; a pair hands them one all the same.


def split_pair_backward(dY, _):
    return split_heads_backward(dY)


def merge_pair_backward(dY, Y):
    return merge_heads_backward(dY, num_heads=3)


# ---- values ----


def test_each_head_takes_neighbouring_columns():
    X = np.arange(12.0).reshape(2, 6)
    assert_array_equal(split_heads(X, 3), [[[0, 1], [6, 7]], [[2, 3], [8, 9]], [[4, 5], [10, 11]]])
    assert_array_equal(split_heads(X, 1), X[None])
    assert_array_equal(merge_heads(split_heads(X, 3)), X)


def test_a_bare_reshape_would_be_wrong():
    X = np.arange(12.0).reshape(2, 6)
    assert (split_heads(X, 3) != X.reshape(3, 2, 2)).any()


def test_shapes_of_the_text(draw):
    # 100 hidden units in 5 heads, 6 positions
    assert split_heads(draw(2, 6, 100), 5).shape == (2, 5, 6, 20)
    assert merge_heads(draw(2, 5, 4, 20)).shape == (2, 4, 100)


# ---- invariants ----


def test_each_undoes_the_other(draw):
    X, Y = draw(2, 4, 15), draw(2, 3, 4, 5)
    assert_array_equal(merge_heads(split_heads(X, 3)), X)
    assert_array_equal(split_heads(merge_heads(Y), 3), Y)


def test_each_is_the_adjoint_of_the_other(draw):
    X, Y = draw(2, 4, 15), draw(2, 3, 4, 5)
    assert_allclose((split_heads(X, 3) * Y).sum(), (X * merge_heads(Y)).sum(), rtol=1e-13)
    assert_array_equal(split_heads_backward(Y), merge_heads(Y))
    assert_array_equal(merge_heads_backward(X, 3), split_heads(X, 3))


@pytest.mark.parametrize("shape", [(0, 4, 6), (2, 0, 6)])
def test_no_positions(shape):
    X = np.zeros(shape)
    assert split_heads(X, 3).shape == (shape[0], 3, shape[1], 2)
    assert merge_heads(split_heads(X, 3)).shape == shape


def test_convention(convention, draw):
    convention(split_heads, split_pair_backward, draw(2, 4, 15), 3)
    convention(merge_heads, merge_pair_backward, draw(2, 3, 4, 5))


# ---- gradients ----


@pytest.mark.parametrize("leading", [(), (2,), (2, 5)])
def test_gradients(assert_gradients, draw, leading):
    assert_gradients(split_heads, split_pair_backward, draw(*leading, 4, 6), 3)
    assert_gradients(merge_heads, merge_pair_backward, draw(*leading, 3, 4, 2))


# ---- errors ----


@pytest.mark.parametrize("num_heads", [4, 0, -3, 2.0, "3"])
def test_a_number_of_heads_that_does_not_divide(num_heads):
    with pytest.raises(ValueError, match=f"num_heads={num_heads!r} for a width of 6"):
        split_heads(np.zeros((2, 6)), num_heads)


def test_a_numpy_integer_is_a_number_of_heads():
    assert split_heads(np.zeros((2, 6)), np.int64(3)).shape == (3, 2, 2)


def test_too_few_axes():
    with pytest.raises(ValueError, match=r"^X .* at least 2: got X \(6,\); .*\(..., T, H·D\)$"):
        split_heads(np.zeros(6), 3)
    with pytest.raises(ValueError, match=r"^X .* at least 3: got X \(4, 6\); .*\(..., H, T, D\)$"):
        merge_heads(np.zeros((4, 6)))


@pytest.mark.parametrize("f", [lambda X: split_heads(X, 3), merge_heads])
def test_other_dtypes(f):
    with pytest.raises(TypeError, match="^X must be float32 or float64, got int64"):
        f(np.zeros((3, 4, 6), np.int64))
