"""Relative positions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.relative import (
    relative_bias,
    relative_bias_backward,
    relative_rows,
    relative_scores,
    relative_scores_backward,
)

# ---- values ----


def test_rows_by_hand():
    assert_array_equal(relative_rows(3, 4, 2), [[2, 3, 4, 4], [1, 2, 3, 4], [0, 1, 2, 3]])
    assert_array_equal(relative_rows(1, 4, 1, offset=2), [[0, 0, 1, 2]])


def test_the_bias_by_hand():
    E = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])  # distances −1, 0, 1 of two heads
    bias, cache = relative_bias(E, 2, 3)
    assert_array_equal(bias[0], [[2, 3, 3], [1, 2, 3]])
    assert_array_equal(bias[1], 10 * bias[0])
    dE = relative_bias_backward(np.arange(12.0).reshape(2, 2, 3), cache)
    # head 0: [[0, 1, 2], [3, 4, 5]], summed by diagonals, all beyond +1 in the last row
    assert_array_equal(dE, [[3, 9], [4, 16], [8, 26]])


def test_the_scores_by_hand():
    Q, A = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    S, cache = relative_scores(Q, A, 2)
    assert_array_equal(S, [[2, 3], [0, 1]])
    dQ, dA = relative_scores_backward(np.array([[1.0, 10.0], [100.0, 1000.0]]), cache)
    assert_array_equal(dQ, [[10, 11], [100, 1000]])
    assert_array_equal(dA, [[0, 100], [1, 1002], [10, 20]])


# ---- invariants ----


def test_gradients_are_sums_along_diagonals(draw):
    dbias = draw(3, 4, 5)
    _, cache = relative_bias(draw(15, 3), 4, 5)  # wide enough that nothing is clipped
    dE = relative_bias_backward(dbias, cache)
    for distance in range(-7, 8):
        diagonal = np.trace(dbias, distance, axis1=1, axis2=2)
        assert_allclose(dE[7 + distance], diagonal, rtol=1e-13, atol=1e-15)


def test_the_bias_is_constant_along_diagonals_and_beyond_the_reach(draw):
    bias, _ = relative_bias(draw(5, 3), 6, 7)
    assert_array_equal(bias[:, 1:, 1:], bias[:, :-1, :-1])
    assert_array_equal(bias[:, 0, 2:], np.broadcast_to(bias[:, 0, 2:3], (3, 5)))


def test_offset_continues_a_sequence(draw):
    E, A, Q = draw(5, 3), draw(5, 6), draw(2, 6, 6)
    assert_array_equal(relative_bias(E, 2, 6, offset=4)[0], relative_bias(E, 6, 6)[0][:, 4:])
    assert_allclose(
        relative_scores(Q[:, 4:], A, 6, offset=4)[0], relative_scores(Q, A, 6)[0][:, 4:], rtol=1e-13
    )


def test_scores_are_each_query_with_its_own_vectors(draw):
    Q, A = draw(2, 3, 4, 6), draw(5, 6)
    S, _ = relative_scores(Q, A, 7)
    rows = relative_rows(4, 7, 2)
    for i in range(4):
        assert_allclose(S[..., i, :], Q[..., i, :] @ A[rows[i]].T, rtol=1e-13, atol=1e-14)


def test_convention(convention, draw):
    convention(relative_bias, relative_bias_backward, draw(5, 3), 4, 6)
    convention(relative_scores, relative_scores_backward, draw(2, 4, 6), draw(5, 6), 7)


# ---- gradients ----


@pytest.mark.parametrize("rows", [1, 5, 15])
def test_gradients(assert_gradients, draw, rows):
    assert_gradients(relative_bias, relative_bias_backward, draw(rows, 3), 4, 5, offset=1)
    for leading in ((), (2,), (2, 3)):
        args = draw(*leading, 4, 6), draw(rows, 6), 5
        assert_gradients(relative_scores, relative_scores_backward, *args, offset=1)


@pytest.mark.parametrize("shape, Tk", [((2, 4, 6), 0), ((0, 4, 6), 5), ((2, 0, 6), 5)])
def test_no_keys_no_queries_no_batch(shape, Tk):
    S, cache = relative_scores(np.ones(shape), np.ones((5, 6)), Tk)
    assert S.shape == (*shape[:-1], Tk)
    dQ, dA = relative_scores_backward(S, cache)
    assert dQ.shape == shape and not dQ.any() and not dA.any()


# ---- errors ----


@pytest.mark.parametrize("shape", [(4, 3), (0, 3)])
def test_tables_without_a_middle_row(shape):
    with pytest.raises(ValueError) as error:
        relative_bias(np.zeros(shape), 2, 3)
    assert f"E must have 2c + 1 rows, one for each distance, got {shape}" in str(error.value)
    with pytest.raises(ValueError, match="^A must have 2c"):
        relative_scores(np.zeros((4, 3)), np.zeros(shape), 5)


def test_widths_and_dtypes_that_do_not_fit():
    with pytest.raises(ValueError, match="^D is 6 in Q, 3 in A"):
        relative_scores(np.zeros((4, 6)), np.zeros((5, 3)), 5)
    with pytest.raises(TypeError, match="Tk must be an integer, got 5.0"):
        relative_scores(np.zeros((4, 3)), np.zeros((5, 3)), 5.0)
    with pytest.raises(TypeError, match="^E must be float32 or float64, got int64"):
        relative_bias(np.zeros((5, 3), int), 2, 3)


@pytest.mark.parametrize("E", [
    np.ones(3), np.ones((3, 2, 1)), np.ones((4, 2)), np.ones((3, 2), int),
], ids=["one axis", "three axes", "even", "integers"])
def test_a_table_has_a_row_for_each_distance(E):
    with pytest.raises((ValueError, TypeError), match="^E "):
        relative_bias(E, 2, 2)
