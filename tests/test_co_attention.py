"""Bidirectional cross-attention: the kernel, and the model with its two linear maps."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.co_attention import co_attention, co_attention_backward
from npattn.kernels.masks import valid_lens_mask
from npattn.models.co_attention import (
    bidirectional_attention,
    bidirectional_attention_backward,
    init_bidirectional,
)
from npattn.trees import tree_leaves


@pytest.fixture
def sides(draw):
    """A, B, Va, Vb: batch 2, Ta 3, Tb 4, Dk 5, Da 6, Db 7."""
    return draw(2, 3, 5), draw(2, 4, 5), draw(2, 3, 6), draw(2, 4, 7)


@pytest.fixture
def masks(draw_mask):
    """Each with a dead row 0."""
    return draw_mask(2, 3, 4), draw_mask(2, 4, 3)


def gradients(*arguments, **options):
    (Oa, Ob), cache = co_attention(*arguments, **options)
    rng = np.random.default_rng(1)
    return co_attention_backward(
        (rng.standard_normal(Oa.shape), rng.standard_normal(Ob.shape)), cache
    )


# ---- values ----


def test_one_against_two_by_hand():
    A, B = np.array([[1.0]]), np.array([[0.0], [math.log(2.0)]])
    Va, Vb = np.array([[5.0, 7.0]]), np.array([[3.0], [6.0]])
    (Oa, Ob), cache = co_attention(A, B, Va, Vb)
    assert_allclose(cache.Pa, [[1 / 3, 2 / 3]], rtol=1e-15)
    assert_array_equal(cache.Pb, [[1], [1]])  # b has one position to attend to
    assert_allclose(Oa, [[5]], rtol=1e-15)
    assert_array_equal(Ob, [[5, 7], [5, 7]])
    # dPa = (3, 6), Σ dPa Pa = 5, so dS = (−2/3, 2/3); nothing comes through Pb, which is constant
    dA, dB, dVa, dVb = co_attention_backward((np.ones((1, 1)), np.ones((2, 2))), cache)
    assert_allclose(dA, [[2 / 3 * math.log(2.0)]], rtol=1e-14)
    assert_allclose(dB, [[-2 / 3], [2 / 3]], rtol=1e-14)
    assert_array_equal(dVa, [[2, 2]])
    assert_allclose(dVb, [[1 / 3], [2 / 3]], rtol=1e-15)


@pytest.mark.parametrize("scale", [None, 1.0, 0.3])
def test_each_way_is_attention_and_the_gradients_add(sides, masks, draw, scale):
    (A, B, Va, Vb), (mask_a, mask_b) = sides, masks
    (Oa, Ob), cache = co_attention(A, B, Va, Vb, mask_a, mask_b, scale=scale)
    one, one_cache = attention(A, B, Vb, mask_a, scale=scale)
    other, other_cache = attention(B, A, Va, mask_b, scale=scale)
    assert_array_equal(Oa, one)
    assert_allclose(Ob, other, rtol=1e-14, atol=1e-16)
    dOa, dOb = draw(*Oa.shape), draw(*Ob.shape)
    dA1, dB1, dVb = attention_backward(dOa, one_cache)
    dB2, dA2, dVa = attention_backward(dOb, other_cache)
    found = co_attention_backward((dOa, dOb), cache)
    for got, want in zip(found, (dA1 + dA2, dB1 + dB2, dVa, dVb), strict=True):
        assert_allclose(got, want, rtol=0, atol=1e-14)


def test_the_model_matches_mapped_inputs_and_reads_raw_ones(draw, rng, shake):
    Xa, Xb = draw(2, 3, 6), draw(2, 4, 7)
    params = shake(init_bidirectional(6, 7, 5, rng))
    (Ya, Yb), cache = bidirectional_attention(Xa, Xb, params, scale=1.0)
    A, B = Xa @ params.a.W + params.a.b, Xb @ params.b.W + params.b.b
    (Oa, Ob), _ = co_attention(A, B, Xa, Xb, scale=1.0)
    assert_allclose(Ya, Oa, rtol=1e-14, atol=1e-15)
    assert_allclose(Yb, Ob, rtol=1e-14, atol=1e-15)
    assert Ya.shape == (2, 3, 7) and Yb.shape == (2, 4, 6)
    assert cache.attention.Pa.shape == (2, 3, 4) and cache.attention.Pb.shape == (2, 4, 3)


# ---- invariants ----


def test_weights_are_normalized_along_either_axis(sides, masks):
    _, cache = co_attention(*sides, *masks)
    for P, mask in zip((cache.Pa, cache.Pb), masks, strict=True):
        assert_allclose(P.sum(axis=-1), mask.any(axis=-1), rtol=1e-14)
        assert_array_equal(P != 0.0, mask)


def test_exchanging_the_sides_exchanges_the_outputs(sides, masks):
    (A, B, Va, Vb), (mask_a, mask_b) = sides, masks
    (Oa, Ob), _ = co_attention(A, B, Va, Vb, mask_a, mask_b)
    (Ob2, Oa2), _ = co_attention(B, A, Vb, Va, mask_b, mask_a)
    assert_allclose(Oa2, Oa, rtol=0, atol=1e-14)
    assert_allclose(Ob2, Ob, rtol=0, atol=1e-14)


def test_a_dead_row_gets_zeros(sides, masks):
    (Oa, Ob), _ = co_attention(*sides, *masks)
    assert not Oa[:, 0].any() and not Ob[:, 0].any()
    assert Oa[:, 1:].all() and Ob[:, 1:].all()
    dead = np.zeros((3, 4), bool), np.zeros((4, 3), bool)
    for gradient in gradients(*sides, *dead):
        assert not gradient.any()


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e308])
def test_a_position_that_is_masked_both_ways_cannot_leak(sides, poison):
    A, B, Va, Vb = sides
    mask_a = valid_lens_mask([4, 2], 4)                    # nobody attends to b's padding,
    mask_b = np.swapaxes(mask_a, -1, -2) & np.ones((1, 1, 3), bool)  # which attends to nobody
    padding = ~mask_a.swapaxes(-1, -2)
    B2, Vb2 = np.where(padding, poison, B), np.where(padding, -poison, Vb)
    want, _ = co_attention(A, B, Va, Vb, mask_a, mask_b)
    got, _ = co_attention(A, B2, Va, Vb2, mask_a, mask_b)
    for found, expected in zip(
        (*got, *gradients(A, B2, Va, Vb2, mask_a, mask_b)),
        (*want, *gradients(A, B, Va, Vb, mask_a, mask_b)),
        strict=True,
    ):
        assert_array_equal(found, expected)


# ---- gradients ----


@pytest.mark.parametrize("scale", [None, 1.0])
def test_gradients(assert_gradients, sides, masks, scale):
    assert_gradients(co_attention, co_attention_backward, *sides, *masks, scale=scale)


def test_gradients_without_masks_and_leading_axes(assert_gradients, draw):
    sides = draw(2, 3), draw(4, 3), draw(2, 5), draw(4, 6)
    assert_gradients(co_attention, co_attention_backward, *sides)


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_of_the_model(assert_gradients, draw, rng, shake, masks, bias):
    params = shake(init_bidirectional(6, 7, 5, rng, bias=bias))
    assert [layer.b is not None for layer in params] == [bias, bias]
    assert_gradients(
        bidirectional_attention, bidirectional_attention_backward,
        draw(2, 3, 6), draw(2, 4, 7), params, *masks, scale=1.0,
    )


def test_float32_stays_and_no_argument_is_written_to(sides, masks):
    narrow = [X.astype(np.float32) for X in sides]
    before = [X.copy() for X in narrow]
    for X in (*narrow, *masks):
        X.setflags(write=False)
    O, cache = co_attention(*narrow, *masks)
    found = co_attention_backward(O, cache)
    assert {X.dtype for X in tree_leaves((O, found))} == {np.dtype(np.float32)}
    for X, old in zip(narrow, before, strict=True):
        assert_array_equal(X, old)


# ---- errors ----


@pytest.mark.parametrize(
    "index, shape, why",
    [
        (0, (2, 3, 6), "Dk is 6 in A, 5 in B"),
        (2, (2, 4, 6), "Ta is . in A, . in Va"),
        (3, (2, 3, 7), "Tb is . in B, . in Vb"),
        (1, (3, 4, 5), "leading axes that do not broadcast"),
        (2, (3,), "Va has 1 axis, and needs at least 2"),
    ],
)
def test_shapes_that_disagree(sides, draw, index, shape, why):
    changed = list(sides)
    changed[index] = draw(*shape)
    with pytest.raises(ValueError, match=why) as caught:
        co_attention(*changed)
    assert str(shape) in str(caught.value)


def test_masks_of_the_wrong_shape_or_type(sides, masks):
    with pytest.raises(ValueError, match=r"mask \(2, 4, 3\) does not broadcast"):
        co_attention(*sides, masks[1])
    with pytest.raises(TypeError, match="mask must be a boolean array"):
        co_attention(*sides, None, masks[1].astype(float))


def test_other_numbers_than_floats(sides):
    A, B, Va, Vb = sides
    with pytest.raises(TypeError, match="Va must be float32 or float64, got int"):
        co_attention(A, B, Va.astype(int), Vb)
