"""The matrix product in which a weight of 0 silences."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from npattn.kernels.sums import weighted_sum

poisons = pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])


@poisons
def test_by_hand(poison):
    A = np.array([[1.0, 2.0, 0.0], [1.0, 0.0, 1.0]])
    X = np.array([[1.0, 1.0], [10.0, 20.0], [3.0, poison]])
    assert_array_equal(weighted_sum(A, X), [[21, 41], [4, poison]])


def test_of_finite_numbers_it_is_the_product(draw):
    A, X = draw(2, 3, 4, 5), draw(2, 3, 5, 7)
    assert_array_equal(weighted_sum(A, X), A @ X)


@poisons
def test_what_has_no_weight_does_not_matter_to_the_last_bit(draw, poison):
    A, X, broken = draw(2, 4, 5), draw(2, 5, 7), np.zeros((2, 5, 7), bool)
    A[:, :, 3] = 0.0
    broken[:, 3, ::2] = True
    assert_array_equal(weighted_sum(A, np.where(broken, poison, X)), weighted_sum(A, X))


@poisons
def test_what_has_weight_is_seen_where_it_has(draw, draw_mask, poison):
    A, X = np.where(draw_mask(2, 4, 5), 1.0, 0.0), draw(2, 5, 7)
    X[1, 0, 6] = poison
    found = np.zeros((2, 4, 7), bool)
    found[1, :, 6] = A[1, :, 0] != 0.0
    assert found.any() and not found.all()
    assert_array_equal(~np.isfinite(weighted_sum(A, X)), found)


@pytest.mark.parametrize("n, m, D", [(0, 5, 7), (4, 0, 7), (4, 5, 0)])
def test_nothing_to_add(n, m, D):
    assert_array_equal(weighted_sum(np.zeros((2, n, m)), np.zeros((2, m, D))), np.zeros((2, n, D)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_precision_stays(dtype):
    A, X = np.array([[1.0, 0.0]], dtype), np.array([[2.0], [np.nan]], dtype)
    found = weighted_sum(A, X)
    assert found.dtype == dtype
    assert_array_equal(found, [[2]])
