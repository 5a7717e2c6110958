"""Scores that are distances."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.distances import (
    distance_scores,
    distance_scores_backward,
    key_norm_scores,
    key_norm_scores_backward,
)
from npattn.kernels.scores import dot_scores
from npattn.kernels.softmax import softmax, softmax_backward

PAIRS = {
    "distance": (distance_scores, distance_scores_backward),
    "key norm": (key_norm_scores, key_norm_scores_backward),
}
both = pytest.mark.parametrize("f, f_backward", PAIRS.values(), ids=PAIRS)


# ---- values ----


def test_by_hand():
    Q, K = np.array([[1.0, 2.0]]), np.array([[1.0, 0.0], [4.0, 6.0]])
    S, cache = distance_scores(Q, K)
    assert_array_equal(S, [[-2, -12.5]])
    # ∂S/∂q = k − q = (0, −2), (3, 4)
    dQ, dK = distance_scores_backward(np.array([[1.0, 2.0]]), cache)
    assert_array_equal(dQ, [[6, 6]])
    assert_array_equal(dK, [[0, 2], [-6, -8]])

    S, cache = key_norm_scores(Q, K)
    assert_array_equal(S, [[1 - 0.5, 16 - 26]])
    dQ, dK = key_norm_scores_backward(np.array([[1.0, 2.0]]), cache)
    assert_array_equal(dQ, [[9, 12]])
    assert_array_equal(dK, [[0, 2], [-6, -8]])


# ---- invariants ----


def test_the_norm_of_the_query_cancels(draw):
    # same weights, and through the softmax also the same gradients
    Q, K, dP = draw(2, 3, 5), draw(2, 4, 5), draw(2, 3, 4)
    found = []
    for f, f_backward in PAIRS.values():
        S, cache = f(Q, K)
        P = softmax(S)
        found.append((P, *f_backward(softmax_backward(dP, P), cache)))
    for one, other in zip(*found, strict=True):
        assert_allclose(one, other, rtol=0, atol=1e-13)


def test_on_the_unit_sphere_nearness_is_the_dot_product(draw):
    Q, K = (X / np.linalg.norm(X, axis=-1, keepdims=True) for X in (draw(3, 5), draw(4, 5)))
    assert_allclose(distance_scores(Q, K)[0], dot_scores(Q, K, scale=1.0)[0] - 1.0, atol=1e-15)


def test_far_from_the_origin_distances_stay_exact(draw):
    Q, K = np.round(draw(3, 5) * 8), np.round(draw(4, 5) * 8)
    assert_array_equal(distance_scores(Q + 2.0**40, K + 2.0**40)[0], distance_scores(Q, K)[0])


@both
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_key_with_gradient_zero_cannot_leak(draw, f, f_backward, bad):
    Q, K, dS = draw(2, 3, 5), draw(2, 4, 5), draw(2, 3, 4)
    dS[:, :, 1] = 0.0
    poisoned = K.copy()
    poisoned[:, 1] = bad
    expected = f_backward(dS, f(Q, K)[1])
    for d, want in zip(f_backward(dS, f(Q, poisoned)[1]), expected, strict=True):
        assert_array_equal(d, want)


@both
def test_without_an_upstream_gradient_there_is_none(f, f_backward):
    Q, K = np.array([[np.nan, 1.0], [2.0, -np.inf]]), np.array([[np.inf, 3.0]])
    for d in f_backward(np.zeros((2, 1)), f(Q, K)[1]):
        assert_array_equal(d, np.zeros_like(d))


@both
def test_convention(convention, draw, f, f_backward):
    convention(f, f_backward, draw(2, 3, 5), draw(2, 4, 5))


# ---- gradients ----


@both
@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
def test_gradients(assert_gradients, draw, f, f_backward, leading):
    assert_gradients(f, f_backward, draw(*leading, 4, 6), draw(*leading, 5, 6))


# ---- errors ----


@both
@pytest.mark.parametrize("Q, K", [
    ((3, 5), (4, 6)), ((2, 3, 5), (3, 4, 5)), ((5,), (4, 5)), ((3, 5), (5,)),
])
def test_shapes_that_disagree(f, f_backward, Q, K):
    with pytest.raises(ValueError) as error:
        f(np.zeros(Q), np.zeros(K))
    for part in (f"Q {Q}", f"K {K}"):
        assert part in str(error.value)


@both
def test_other_dtypes(f, f_backward):
    with pytest.raises(TypeError, match="^K must be float32 or float64, got int64"):
        f(np.zeros((3, 5)), np.zeros((4, 5), int))
