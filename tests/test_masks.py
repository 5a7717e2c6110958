"""Masks, and the translation of other conventions into them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from npattn.kernels.masks import (
    causal_mask,
    combine_masks,
    mask_from_additive,
    mask_from_drop,
    pad_sequences,
    valid_lens_mask,
)

T, F = True, False

# ---- values ----


def test_one_length_per_sequence():
    # i love you <pad> / i can't go there / of course <pad> <pad>
    assert_array_equal(
        valid_lens_mask([3, 4, 2], 4), [[[T, T, T, F]], [[T, T, T, T]], [[T, T, F, F]]]
    )


def test_one_length_per_query():
    assert_array_equal(
        valid_lens_mask([[1, 3], [2, 0]], 3),
        [[[T, F, F], [T, T, T]], [[T, T, F], [F, F, F]]],
    )


@pytest.mark.parametrize("sizes, offset, expected", [
    ((3,), 0, [[T, F, F], [T, T, F], [T, T, T]]),
    ((2, 4), 0, [[T, F, F, F], [T, T, F, F]]),
    ((2, 4), 2, [[T, T, T, F], [T, T, T, T]]),
    ((3, 2), 0, [[T, F], [T, T], [T, T]]),
    ((2, 3), -1, [[F, F, F], [T, F, F]]),
])
def test_causal_masks(sizes, offset, expected):
    assert_array_equal(causal_mask(*sizes, offset=offset), expected)


def test_combined_masks_allow_what_all_allow():
    padding = np.array([[[T, T, F]], [[T, F, F]]])
    assert_array_equal(
        combine_masks(None, causal_mask(3), padding),
        [[[T, F, F], [T, T, F], [T, T, F]], [[T, F, F], [T, F, F], [T, F, F]]],
    )
    assert combine_masks() is None
    assert combine_masks(None, None) is None
    assert_array_equal(combine_masks(padding), padding)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_additive_masks(dtype):
    bias = np.array([[0, -np.inf], [-0.0, 0]], dtype)
    assert_array_equal(mask_from_additive(bias), [[T, F], [T, T]])


@pytest.mark.parametrize("low", [-1e4, -1e6, -1e9, -np.inf])
def test_additive_masks_with_a_large_negative_number(low):
    assert_array_equal(mask_from_additive(np.array([0.0, low]), threshold=-1e4), [T, F])


def test_drop_masks_have_the_opposite_polarity():
    assert_array_equal(mask_from_drop(np.array([[F, F, T]])), [[T, T, F]])


def test_padding_ragged_sequences():
    padded, mask = pad_sequences([np.array([5, 6, 7]), np.array([8])])
    assert_array_equal(padded, [[5, 6, 7], [8, 0, 0]])
    assert_array_equal(mask, [[T, T, T], [T, F, F]])
    assert padded.dtype == np.array([5]).dtype


def test_padding_to_a_length_with_more_axes(draw):
    a, b = draw(2, 3).astype(np.float32), np.zeros((0, 3), np.float32)
    padded, mask = pad_sequences([a, b], max_len=4)
    assert padded.shape == (2, 4, 3) and padded.dtype == np.float32
    assert_array_equal(padded[0, :2], a)
    assert not padded[0, 2:].any() and not padded[1].any()
    assert_array_equal(mask, [[T, T, F, F], [F, F, F, F]])


# ---- invariants ----


@pytest.mark.parametrize("read", [0, 1, 3])
def test_an_offset_takes_the_later_rows(read):
    assert_array_equal(causal_mask(5 - read, 5, offset=read), causal_mask(5)[read:])


def test_the_two_forms_of_lengths_agree():
    assert_array_equal(
        np.broadcast_to(valid_lens_mask([2, 5], 5), (2, 3, 5)),
        valid_lens_mask([[2] * 3, [5] * 3], 5),
    )
    assert_array_equal(valid_lens_mask([[1, 2, 3, 4]], 4)[0], causal_mask(4))


def test_translations_agree_with_each_other(draw_mask):
    mask = draw_mask(2, 4, 5)
    assert_array_equal(mask_from_drop(~mask), mask)
    assert_array_equal(mask_from_additive(np.where(mask, 0.0, -np.inf)), mask)


def test_combining_is_commutative_and_writes_nothing(draw_mask):
    a, b = draw_mask(2, 4, 5), causal_mask(4, 5)
    before = a.copy()
    assert_array_equal(combine_masks(a, b), combine_masks(b, a))
    assert_array_equal(a, before)


def test_padding_undone_gives_the_sequences(draw):
    sequences = [draw(n, 3) for n in (2, 4, 1)]
    padded, mask = pad_sequences(sequences)
    for X, row, real in zip(sequences, padded, mask, strict=True):
        assert_array_equal(row[real], X)


def test_empty_masks():
    assert valid_lens_mask(np.zeros(0, int), 3).shape == (0, 1, 3)
    assert valid_lens_mask([0, 0], 0).shape == (2, 1, 0)
    assert causal_mask(0).shape == (0, 0)
    assert causal_mask(2, 0).shape == (2, 0)
    assert mask_from_additive(np.zeros((2, 0))).shape == (2, 0)


# ---- errors ----


@pytest.mark.parametrize("lens, error, message", [
    ([1.0, 2.0], TypeError, "valid_lens must be integers, got float64"),
    ([True, False], TypeError, "valid_lens must be integers, got bool"),
    (2, ValueError, r"valid_lens must be \(B,\) or \(B, Tq\), got shape \(\)"),
    ([[[2]]], ValueError, r"got shape \(1, 1, 1\)"),
    ([1, 6], ValueError, "valid_lens must lie in 0 … 5, got 1 … 6"),
    ([-1, 2], ValueError, "valid_lens must lie in 0 … 5, got -1 … 2"),
])
def test_lengths_that_do_not_fit(lens, error, message):
    with pytest.raises(error, match=message):
        valid_lens_mask(lens, 5)


@pytest.mark.parametrize("mask, came", [
    (np.ones((4, 5)), "float64"), (np.ones((4, 5), int), "int64"), ([[True]], "list")
])
def test_masks_to_combine_must_be_boolean(mask, came):
    with pytest.raises(TypeError, match=f"^mask must be a boolean array .*got {came}"):
        combine_masks(causal_mask(4, 5), mask)


def test_masks_to_combine_must_broadcast():
    with pytest.raises(ValueError, match=r"masks \(4, 5\), \(4, 6\) do not broadcast"):
        combine_masks(causal_mask(4, 5), None, causal_mask(4, 6))


@pytest.mark.parametrize("bias, error, message", [
    (np.array([True, False]), TypeError, "bias must be a float array, got bool"),
    (np.array([0, -1]), TypeError, "bias must be a float array, got int64"),
    (np.array([0.0, 1.5]), ValueError, "bias must hold 0 .* got .*1.5"),
    (np.array([0.0, -1e9]), ValueError, "-1000000000.0.* pass threshold="),
    (np.array([0.0, np.nan]), ValueError, "got .*nan"),
    (np.array([0.0, np.inf]), ValueError, "got .*inf"),
])
def test_additive_masks_that_are_none(bias, error, message):
    with pytest.raises(error, match=message):
        mask_from_additive(bias)


def test_additive_masks_above_the_threshold():
    with pytest.raises(ValueError, match="-5000.0"):
        mask_from_additive(np.array([0.0, -5e3]), threshold=-1e4)


@pytest.mark.parametrize("threshold", [1e4, 0.0, np.nan])
def test_thresholds_without_a_sign(threshold):
    with pytest.raises(ValueError, match=f"threshold must be negative, .* got {threshold}"):
        mask_from_additive(np.array([0.0, -1e9]), threshold=threshold)


def test_the_entry_that_is_odd_is_shown_as_a_number():
    with pytest.raises(ValueError, match="got -1000000000.0;"):
        mask_from_additive(np.array([0.0, -1e9]))


@pytest.mark.parametrize("sizes, error, message", [
    ((2.5,), TypeError, "Tq must be an integer, got 2.5"),
    ((-1,), ValueError, "Tq must be at least 0, got -1"),
    ((2, 3.0), TypeError, "Tk must be an integer, got 3.0"),
    ((2, -3), ValueError, "Tk must be at least 0, got -3"),
])
def test_triangles_that_make_no_sense(sizes, error, message):
    with pytest.raises(error, match=message):
        causal_mask(*sizes)
    if len(sizes) == 2:
        with pytest.raises(error, match=message):
            valid_lens_mask([1, 2], sizes[1])


def test_drop_masks_must_be_boolean():
    with pytest.raises(TypeError, match="drop must be boolean .* got float64"):
        mask_from_drop(np.array([0.0, -np.inf]))


@pytest.mark.parametrize("sequences, max_len, message", [
    ([], None, "sequences must hold at least one"),
    ([np.zeros((2, 3)), np.zeros((2, 4))], None, r"sequences\[1\] is float64 \(2, 4\).*\(2, 3\)"),
    ([np.zeros(2), np.zeros(2, int)], None, r"sequences\[1\] is int64 \(2,\), .* float64 \(2,\)"),
    ([np.zeros(2), np.zeros(5)], 4, r"sequences\[1\] has length 5, more than max_len=4"),
])
def test_sequences_that_cannot_be_padded(sequences, max_len, message):
    with pytest.raises(ValueError, match=message):
        pad_sequences(sequences, max_len)


@pytest.mark.parametrize("sequences, came", [
    ([1, 2], r"int64 \(\)"), (["ab", "c"], r"<U2 \(\)"), ([np.zeros(2), None], r"object \(\)"),
    ([["a", "b"]], r"<U1 \(2,\)"),
])
def test_sequences_of_no_numbers(sequences, came):
    with pytest.raises(TypeError, match=rf"^sequences\[.\] must be an array of numbers .*{came}"):
        pad_sequences(sequences)


def test_an_additive_mask_of_halves():
    bias = np.array([0.0, -np.inf, 0.0], np.float16)
    assert_array_equal(mask_from_additive(bias), [True, False, True])
