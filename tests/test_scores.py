"""Scores that are products."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.scores import (
    bilinear_scores,
    bilinear_scores_backward,
    dot_scores,
    dot_scores_backward,
)

# ---- values ----


def test_by_hand():
    Q, K = np.array([[1.0, 2.0]]), np.array([[3.0, 1.0], [0.0, -1.0]])
    S, cache = dot_scores(Q, K, scale=2.0)
    assert_array_equal(S, [[10, -4]])
    dQ, dK = dot_scores_backward(np.array([[1.0, 3.0]]), cache)
    assert_array_equal(dQ, [[6, -4]])
    assert_array_equal(dK, [[2, 4], [6, 12]])

    M = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]])
    K = np.array([[1.0, 2.0, 3.0]])
    S, cache = bilinear_scores(Q, K, M)
    assert_array_equal(S, [[1 * 7 + 2 * 2]])
    dQ, dK, dM = bilinear_scores_backward(np.array([[2.0]]), cache)
    assert_array_equal(dQ, [[14, 4]])
    assert_array_equal(dK, [[2, 4, 4]])
    assert_array_equal(dM, [[2, 4, 6], [4, 8, 12]])


# ---- invariants ----


def test_a_unit_matrix_between_them_changes_nothing(draw):
    Q, K = draw(2, 3, 5), draw(2, 4, 5)
    assert_array_equal(bilinear_scores(Q, K, np.eye(5))[0], dot_scores(Q, K, scale=1.0)[0])
    assert_allclose(dot_scores(Q, K)[0], (Q @ K.swapaxes(1, 2)) / 5**0.5, rtol=1e-14)


def test_a_matrix_of_low_rank_is_two_projections(draw):
    Q, K, Wq, Wk = draw(2, 3, 5), draw(2, 4, 6), draw(5, 2), draw(6, 2)
    S, _ = bilinear_scores(Q, K, Wq @ Wk.T)
    assert_allclose(S, dot_scores(Q @ Wq, K @ Wk, scale=1.0)[0], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_key_with_gradient_zero_cannot_leak(draw, bad):
    Q, K, M, dS = draw(2, 3, 5), draw(2, 4, 6), draw(5, 6), draw(2, 3, 4)
    dS[:, :, 1], dS[:, 2] = 0.0, 0.0
    poisoned, dead = K.copy(), Q.copy()
    poisoned[:, 1], dead[:, 2] = bad, bad
    for f, backward, extra, columns in (
        (dot_scores, dot_scores_backward, (), 5),
        (bilinear_scores, bilinear_scores_backward, (M,), 6),
    ):
        _, clean = f(Q, K[..., :columns], *extra)
        _, dirty = f(dead, poisoned[..., :columns], *extra)
        for d, want in zip(backward(dS, dirty), backward(dS, clean), strict=True):
            assert_array_equal(d, want)


def test_convention(convention, draw):
    Q, K = draw(2, 3, 5), draw(2, 4, 5)
    convention(dot_scores, dot_scores_backward, Q, K, scale=0.7)
    convention(bilinear_scores, bilinear_scores_backward, Q, draw(2, 4, 6), draw(5, 6))


def test_queries_without_columns(draw):
    S, cache = bilinear_scores(np.zeros((3, 0)), draw(4, 6), np.zeros((0, 6)))
    assert_array_equal(S, np.zeros((3, 4)))
    shapes = [d.shape for d in bilinear_scores_backward(S, cache)]
    assert shapes == [(3, 0), (4, 6), (0, 6)]


# ---- gradients ----


@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
def test_gradients(assert_gradients, draw, leading):
    Q, K = draw(*leading, 4, 6), draw(*leading, 5, 6)
    assert_gradients(dot_scores, dot_scores_backward, Q, K)
    assert_gradients(
        bilinear_scores, bilinear_scores_backward, Q, draw(*leading, 5, 7), draw(6, 7)
    )


# ---- errors ----


@pytest.mark.parametrize("Q, K", [
    ((3, 5), (4, 6)), ((2, 3, 5), (3, 4, 5)), ((5,), (4, 5)), ((3, 5), (5,)),
])
def test_shapes_that_disagree(Q, K):
    with pytest.raises(ValueError) as error:
        dot_scores(np.zeros(Q), np.zeros(K))
    for part in (f"Q {Q}", f"K {K}"):
        assert part in str(error.value)


@pytest.mark.parametrize("M", [(5, 5), (6, 5), (5,), (1, 5, 6)])
def test_matrices_that_do_not_fit(M):
    with pytest.raises(ValueError) as error:
        bilinear_scores(np.zeros((3, 5)), np.zeros((4, 6)), np.zeros(M))
    assert f"Q (3, 5), K (4, 6), M {M}" in str(error.value)
    with pytest.raises(ValueError, match=r"\(3,\) of K are leading axes that do not broadcast"):
        bilinear_scores(np.zeros((2, 3, 5)), np.zeros((3, 4, 6)), np.zeros((5, 6)))


@pytest.mark.parametrize("Q, K", [((5,), (4, 6)), ((3, 5), (6,))])
def test_one_vector_is_not_a_matrix_of_one_row(Q, K):
    with pytest.raises(ValueError, match=re.escape(f"Q {Q}, K {K}, M (5, 6)")):
        bilinear_scores(np.zeros(Q), np.zeros(K), np.zeros((5, 6)))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_other_dtypes(place):
    args = [np.zeros((3, 5)), np.zeros((4, 6)), np.zeros((5, 6))]
    args[place] = args[place].astype(int)
    with pytest.raises(TypeError, match=f"^{'QKM'[place]} must be float32 or float64, got int64"):
        bilinear_scores(*args)
