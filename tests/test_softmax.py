"""Softmax, masked softmax and log-softmax."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.masks import valid_lens_mask
from npattn.kernels.softmax import (
    log_softmax,
    log_softmax_backward,
    masked_softmax,
    softmax,
    softmax_backward,
)

LN = np.log([1.0, 2.0, 3.0])  # its softmax is 1/6, 1/3, 1/2
P = np.array([1 / 6, 1 / 3, 1 / 2])


# ---- values ----


def test_softmax_of_logarithms_is_a_quotient():
    assert_allclose(softmax(LN), P, rtol=1e-15)
    assert_allclose(log_softmax(LN), -np.log([6.0, 3.0, 2.0]), rtol=1e-15)


@pytest.mark.parametrize("factor, weights", [
    (1, [0.1753, 0.0391, 0.7856]),
    (2, [0.0473, 0.0024, 0.9503]),
])
def test_greater_scores_make_sharper_weights(factor, weights):
    assert_allclose(softmax(factor * np.array([0.5, -1.0, 2.0])), weights, atol=5e-5)


def test_masked_softmax_by_hand():
    S = np.array([[[7.0, 5.0, 5.0, 4.0], [3.0, 7.0, 7.0, 7.0]]])
    weights = masked_softmax(S, valid_lens_mask(np.array([[1, 2]]), 4))
    low = 1 / (1 + math.exp(4))
    assert_allclose(weights, [[[1, 0, 0, 0], [low, 1 - low, 0, 0]]], rtol=1e-14)
    assert_allclose(weights[0, 1, :2], [0.0180, 0.9820], atol=5e-5)


@pytest.mark.parametrize("lens, heard", [
    ([2, 3], [[2, 2], [3, 3]]),
    ([[1, 3], [2, 4]], [[1, 3], [2, 4]]),
])
def test_valid_lens_of_both_forms(draw, lens, heard):
    weights = masked_softmax(draw(2, 2, 4), valid_lens_mask(lens, 4))
    assert_array_equal((weights > 0).sum(axis=-1), heard)
    assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-15)


def test_backwards_by_hand():
    # Σ dP P = 3
    assert_allclose(softmax_backward(np.array([6.0, 3.0, 2.0]), P), [0.5, 0, -0.5], atol=1e-15)
    # Σ dL = 6
    assert_allclose(
        log_softmax_backward(np.array([6.0, 0.0, 0.0]), np.log(P)), [5, -2, -3], rtol=1e-15
    )


# ---- invariants ----


def test_rows_sum_to_one_and_masked_entries_are_exactly_zero(draw, draw_mask):
    S, mask = draw(2, 3, 4, 5), draw_mask(2, 3, 4, 5)
    weights = masked_softmax(S, mask)
    assert_allclose(weights.sum(axis=-1), mask.any(axis=-1), rtol=1e-15)
    assert_array_equal(weights != 0.0, mask)
    assert_array_equal(softmax(S), masked_softmax(S, np.ones((5,), bool)))


def test_the_masked_softmax_is_the_softmax_of_what_is_left(draw, draw_mask):
    S, mask = draw(4, 5), draw_mask(4, 5)
    for row, allowed, weights in zip(S[1:], mask[1:], masked_softmax(S, mask)[1:], strict=True):
        assert_allclose(weights[allowed], softmax(row[allowed]), rtol=1e-15)


@pytest.mark.parametrize("f", [softmax, log_softmax])
@pytest.mark.parametrize("shift", [-1e6, 3.0, 1e6])
def test_a_constant_per_row_changes_nothing(draw, f, shift):
    S = np.round(draw(3, 4) * 16) / 16  # so that the shifted scores are exact
    assert_array_equal(f(S + shift), f(S))


@pytest.mark.parametrize("f", [softmax, log_softmax])
def test_permuted_scores_give_permuted_weights(draw, rng, f):
    S, order = draw(3, 5), rng.permutation(5)
    assert_allclose(f(S[:, order]), f(S)[:, order], rtol=1e-14)


def test_scores_of_any_size_neither_overflow_nor_vanish():
    S = np.array([[1e308, 0.0], [-1e308, -1e308], [0.0, -1000.0]])
    assert_array_equal(softmax(S), [[1, 0], [0.5, 0.5], [1, 0]])
    assert_allclose(log_softmax(S), [[0, -1e308], [-math.log(2), -math.log(2)], [0, -1000]])


def test_a_score_of_minus_infinity_is_a_mask(draw, draw_mask):
    S, mask = draw(2, 4, 5), draw_mask(2, 4, 5)
    assert_array_equal(softmax(np.where(mask, S, -np.inf)), masked_softmax(S, mask))


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e308])
def test_a_masked_score_does_not_matter(draw, draw_mask, poison):
    S, mask = draw(2, 4, 5), draw_mask(2, 4, 5)
    assert_array_equal(masked_softmax(np.where(mask, S, poison), mask), masked_softmax(S, mask))


def test_a_dead_row_is_zero_with_gradient_zero(draw, draw_mask):
    weights = masked_softmax(draw(2, 4, 5), draw_mask(2, 4, 5))
    assert not weights[:, 0].any()
    assert not softmax_backward(draw(2, 4, 5), weights)[:, 0].any()


def test_gradients_sum_to_zero_since_a_shift_does_nothing(draw):
    S, dY = draw(3, 4, 5), draw(3, 4, 5)
    assert_allclose(softmax_backward(dY, softmax(S)).sum(axis=-1), 0.0, atol=1e-15)
    assert_allclose(log_softmax_backward(dY, log_softmax(S)).sum(axis=-1), 0.0, atol=1e-14)


@pytest.mark.parametrize("shape", [(2, 0), (0, 3), (0, 0)])
def test_no_scores_no_weights(shape):
    assert softmax(np.zeros(shape)).shape == log_softmax(np.zeros(shape)).shape == shape
    assert softmax_backward(np.zeros(shape), np.zeros(shape)).shape == shape


def test_convention(convention, draw, draw_mask):
    convention(softmax, softmax_backward, draw(3, 4, 5))
    convention(masked_softmax, softmax_backward, draw(2, 4, 5), draw_mask(4, 5))
    convention(log_softmax, log_softmax_backward, draw(3, 4, 5))


# ---- gradients ----


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 3, 4, 5)])
def test_gradients(assert_gradients, draw, shape):
    assert_gradients(softmax, softmax_backward, draw(*shape))
    assert_gradients(log_softmax, log_softmax_backward, draw(*shape))


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5), (2, 1, 4, 5)])
def test_masked_gradients(assert_gradients, draw, draw_mask, shape):
    assert_gradients(masked_softmax, softmax_backward, draw(2, 3, 4, 5), draw_mask(*shape))


# ---- errors ----


@pytest.mark.parametrize("f", [softmax, log_softmax])
@pytest.mark.parametrize("S, came", [
    (np.zeros((2, 3), int), "int64"),
    (np.zeros((2, 3), np.float16), "float16"),
    ([[0.0, 1.0]], "list"),
])
def test_scores_must_be_floats(f, S, came):
    with pytest.raises(TypeError, match=f"^S must be .*got {came}"):
        f(S)


@pytest.mark.parametrize("mask, came", [
    (np.zeros((2, 3)), "float64"),
    (np.ones((2, 3), int), "int64"),
    ([[True, True, False]] * 2, "list"),
])
def test_a_mask_must_be_boolean(mask, came):
    with pytest.raises(TypeError, match=f"mask must be a boolean array .*got {came}"):
        masked_softmax(np.zeros((2, 3)), mask)


@pytest.mark.parametrize("shape", [(3, 2), (2, 2, 3)])
def test_a_mask_must_broadcast(shape):
    with pytest.raises(ValueError, match=rf"mask \({shape[0]}, .* the scores S \(2, 3\)"):
        masked_softmax(np.zeros((2, 3)), np.ones(shape, bool))


@pytest.mark.parametrize("f", [softmax, masked_softmax, log_softmax])
def test_scores_without_an_axis(f):
    with pytest.raises(ValueError, match="^S has 0 axes, and needs at least 1"):
        f(np.array(1.0))
