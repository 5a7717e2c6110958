"""Attention with a term added to its scores."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.alibi import alibi_bias, alibi_slopes
from npattn.kernels.attention import attention
from npattn.kernels.biases import biased_attention, biased_attention_backward
from npattn.kernels.masks import causal_mask
from npattn.kernels.relative import relative_bias, relative_bias_backward


@pytest.fixture
def QKV(draw):
    """Batch 2, heads 3, Tq 4, Tk 5, Dk 6, Dv 7."""
    return draw(2, 3, 4, 6), draw(2, 3, 5, 6), draw(2, 3, 5, 7)


# ---- values ----


def test_by_hand():
    # Q is 0, so the bias is all there is: P = (1/4, 3/4)
    Q, K, V = np.zeros((1, 2)), np.ones((2, 2)), np.array([[4.0], [8.0]])
    bias = np.array([0.0, np.log(3.0)])
    O, cache = biased_attention(Q, K, V, bias)
    assert_allclose(O, [[7]], rtol=1e-14)
    *_, dbias = biased_attention_backward(np.ones((1, 1)), cache)
    assert_allclose(dbias, [-3 / 4, 3 / 4], rtol=1e-14)


def test_alibi_by_hand():
    assert_array_equal(alibi_slopes(1), [2.0**-8])
    assert_array_equal(alibi_slopes(4), [1 / 4, 1 / 16, 1 / 64, 1 / 256])
    assert_array_equal(alibi_slopes(8), 0.5 ** np.arange(1, 9))
    assert_allclose(alibi_slopes(16), 2.0 ** (-np.arange(1, 17) / 2), rtol=1e-14)
    assert_allclose(alibi_slopes(12)[8:], 2.0 ** -np.array([0.5, 1.5, 2.5, 3.5]), rtol=1e-14)
    assert_array_equal(alibi_slopes(12)[:8], alibi_slopes(8))
    assert_array_equal([len(set(alibi_slopes(H))) for H in (3, 15, 112)], [3, 15, 112])
    bias = alibi_bias(2, 3, np.array([1.0, 0.5]))
    assert_array_equal(bias, [[[0, -1, -2], [-1, 0, -1]], [[0, -0.5, -1], [-0.5, 0, -0.5]]])
    assert_array_equal(alibi_bias(1, 3, np.array([1.0]), offset=2), [[[-2, -1, 0]]])


# ---- invariants ----


def test_no_bias_is_attention(QKV, draw_mask):
    mask = draw_mask(2, 1, 4, 5)
    O, cache = biased_attention(*QKV, np.zeros((4, 5)), mask, scale=0.7)
    expected, plain = attention(*QKV, mask, scale=0.7)
    assert_array_equal(O, expected)
    assert_array_equal(cache.P, plain.P)


def test_minus_infinity_is_a_mask(QKV, draw_mask, draw):
    mask, dO = draw_mask(4, 5), draw(2, 3, 4, 7)
    O, cache = biased_attention(*QKV, np.where(mask, 0.0, -np.inf))
    expected, masked = biased_attention(*QKV, np.zeros((4, 5)), mask)
    assert_array_equal(O, expected)
    for d, want in zip(biased_attention_backward(dO, cache),
                       biased_attention_backward(dO, masked), strict=True):
        assert_array_equal(d, want)


def test_a_bias_that_all_keys_share_changes_nothing(QKV, draw):
    O, cache = biased_attention(*QKV, draw(3, 4, 1))
    assert_allclose(O, attention(*QKV)[0], rtol=1e-12)
    *_, dbias = biased_attention_backward(draw(2, 3, 4, 7), cache)
    assert_allclose(dbias, np.zeros((3, 4, 1)), atol=1e-14)


def test_alibi_to_the_past_is_one_slope_per_key(QKV, draw):
    # −slope (i − j) and +slope j differ by what a row shares
    Q, K, V = QKV
    slopes, keys = alibi_slopes(3), np.arange(5.0)
    O, _ = biased_attention(Q, K, V, alibi_bias(4, 5, slopes), causal_mask(4, 5))
    shifted, _ = biased_attention(Q, K, V, slopes[:, None, None] * keys, causal_mask(4, 5))
    assert_allclose(O, shifted, rtol=1e-12, atol=1e-14)


def test_steeper_heads_look_less_far():
    slopes, zeros = alibi_slopes(4), np.zeros((4, 9, 2))
    _, cache = biased_attention(zeros, zeros, zeros, alibi_bias(9, 9, slopes))
    nearness = cache.P[:, 4, 4]
    assert (np.diff(nearness) < 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_masked_key_cannot_leak(QKV, draw, bad):
    (Q, K, V), bias, dO = QKV, draw(3, 4, 5), draw(2, 3, 4, 7)
    mask = np.arange(5) != 2
    dirty = [Q, *(np.where(mask[:, None], X, bad) for X in (K, V)), np.where(mask, bias, bad)]
    O, cache = biased_attention(Q, K, V, bias, mask)
    found, dirty_cache = biased_attention(*dirty, mask)
    assert_array_equal(found, O)
    for d, want in zip(biased_attention_backward(dO, dirty_cache),
                       biased_attention_backward(dO, cache), strict=True):
        assert_array_equal(d, want)


DROPOUT = {"scale": 0.7, "dropout": 0.4, "rng": np.random.default_rng(3)}


@pytest.mark.parametrize("options", [{}, DROPOUT], ids=["plain", "dropout"])
def test_convention(convention, QKV, draw, draw_mask, options):
    args = *QKV, draw(3, 4, 5), draw_mask(4, 5)
    convention(biased_attention, biased_attention_backward, *args, **options)


# ---- gradients ----


@pytest.mark.parametrize("shape", [(3, 4, 5), (5,), (2, 1, 4, 1)])
def test_gradients(assert_gradients, QKV, draw, draw_mask, shape):
    args = *QKV, draw(*shape), draw_mask(2, 1, 4, 5)
    assert_gradients(biased_attention, biased_attention_backward, *args, **DROPOUT)


def test_gradients_of_a_learned_relative_bias(assert_gradients, QKV, draw):
    def relative(Q, K, V, E):
        bias, from_table = relative_bias(E, 4, 5)
        O, cache = biased_attention(Q, K, V, bias)
        return O, (cache, from_table)

    def relative_backward(dO, cache):
        dQ, dK, dV, dbias = biased_attention_backward(dO, cache[0])
        return dQ, dK, dV, relative_bias_backward(dbias, cache[1])

    assert_gradients(relative, relative_backward, *QKV, draw(5, 3))


# ---- errors ----


@pytest.mark.parametrize("shape", [(4, 4), (2, 4, 5), (1, 2, 3, 4, 5)])
def test_biases_that_do_not_fit(QKV, shape):
    with pytest.raises(ValueError) as error:
        biased_attention(*QKV, np.zeros(shape))
    assert f"bias {shape} does not broadcast to the scores (2, 3, 4, 5)" in str(error.value)


def test_other_arguments_that_do_not_fit(QKV):
    Q, K, V = QKV
    bias = np.zeros((4, 5))
    with pytest.raises(ValueError, match=r"^Tk is 5 in K, 4 in V: got .* V \(2, 3, 4, 7\)"):
        biased_attention(Q, K, V[..., :4, :], bias)
    with pytest.raises(TypeError, match="^bias must be float32 or float64, got int64"):
        biased_attention(Q, K, V, bias.astype(int))
    with pytest.raises(ValueError, match="num_heads must be at least 1, got 0"):
        alibi_slopes(0)
    with pytest.raises(TypeError, match="num_heads must be an integer, got 2.0"):
        alibi_slopes(2.0)
    with pytest.raises(TypeError, match="^slopes must be a NumPy array, got list"):
        alibi_bias(4, 5, [0.5])
    with pytest.raises(TypeError, match="^Tk must be an integer, got 5.5"):
        alibi_bias(4, 5.5, alibi_slopes(2))


def test_a_numpy_integer_is_a_number_of_heads():
    assert_array_equal(alibi_slopes(np.int64(6)), alibi_slopes(6))
