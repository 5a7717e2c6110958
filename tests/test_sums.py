"""Sums as products with ones."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.products import product, turned_like
from npattn.kernels.sums import all_finite, column_sums, row_sums


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5), (4, 0), (0, 4), (2, 0, 3)])
def test_they_are_what_numpy_adds_up(draw, shape):
    X = draw(*shape)
    assert_allclose(row_sums(X), X.sum(axis=-1, keepdims=True), rtol=1e-13, atol=1e-13)
    leading = tuple(range(X.ndim - 1))
    assert_allclose(column_sums(X), X.sum(axis=leading), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_precision_stays(dtype):
    X = np.ones((2, 3), dtype)
    assert row_sums(X).dtype == column_sums(X).dtype == dtype


def test_no_row_and_no_column_hears_another(draw):
    X = draw(3, 4)
    X[1, 2] = np.nan
    assert_array_equal(np.isnan(row_sums(X))[:, 0], [False, True, False])
    assert_array_equal(np.isnan(column_sums(X)), [False, False, True, False])


def test_float32_sums_are_as_exact_as_those_of_numpy(rng):
    X = rng.random((20_000, 8), np.float32)
    exact = X.astype(np.float64).sum(axis=0)
    assert_allclose(column_sums(X), exact, rtol=np.abs(X.sum(axis=0) / exact - 1.0).max() + 1e-6)


def test_numbers_whose_squares_overflow_are_finite():
    assert all_finite(np.array([1e300, 1.0]), np.array([-1e200]))
    for broken in (np.nan, np.inf, -np.inf):
        assert not all_finite(np.ones(2), np.array([1e300, broken]))
        assert not all_finite(np.array([broken]), np.ones(2))


@pytest.mark.parametrize("rows", [1, 2, 512, 513])
@pytest.mark.parametrize("order", "CF")
def test_an_array_lies_in_memory_as_the_product_that_it_is_added_to(draw, rows, order):
    W, X = np.array(draw(3, 5), order=order), draw(rows, 5)
    Y = product(draw(rows, 3), W)
    assert turned_like(X, W).strides == Y.strides and turned_like(X, W).shape == Y.shape
    assert_array_equal(turned_like(X, W), X)
    assert (Y.strides[0] > Y.strides[1]) != (order == "F" and 2 <= rows <= 512)


def test_looking_for_broken_numbers_copies_no_array_that_is_turned():
    X = np.ones((400, 500)).T
    tracemalloc.start()
    assert all_finite(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes / 100
