"""Scaled dot-product attention."""

import math
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.masks import causal_mask, valid_lens_mask
from npattn.kernels.softmax import softmax
from npattn.kernels.tiling.tiled import tiled_attention, tiled_attention_backward


@pytest.fixture
def QKV(draw):
    """Every axis of another length: batch 2, heads 3, Tq 4, Tk 5, Dk 6, Dv 7."""
    return draw(2, 3, 4, 6), draw(2, 3, 5, 6), draw(2, 3, 5, 7)


def gradients(Q, K, V, mask=None, **options):
    O, cache = attention(Q, K, V, mask, **options)
    return attention_backward(np.random.default_rng(1).standard_normal(O.shape), cache)


# ---- values ----


def test_one_query_by_hand():
    Q, K = np.array([[math.log(2.0)]]), np.array([[0.0], [1.0]])
    V = np.array([[3.0, 0.0], [6.0, 9.0]])
    O, cache = attention(Q, K, V)
    assert_allclose(cache.P, [[1 / 3, 2 / 3]], rtol=1e-15)
    assert_allclose(O, [[5, 6]], rtol=1e-15)
    # dP = (3, 6) and Σ dP P = 5, so dS = (−2/3, 2/3)
    dQ, dK, dV = attention_backward(np.array([[1.0, 0.0]]), cache)
    assert_allclose(dQ, [[2 / 3]], rtol=1e-14)
    assert_allclose(dK, [[-2 / 3 * math.log(2)], [2 / 3 * math.log(2)]], rtol=1e-14)
    assert_allclose(dV, [[1 / 3, 0], [2 / 3, 0]], rtol=1e-15)


def test_equal_keys_average_the_valid_values(draw):
    K, V = np.ones((2, 10, 2)), np.tile(np.arange(40.0).reshape(10, 4), (2, 1, 1))
    O, cache = attention(draw(2, 1, 2), K, V, valid_lens_mask([2, 6], 10))
    assert_allclose(O, [[[2, 3, 4, 5]], [[10, 11, 12, 13]]], rtol=1e-14)
    assert_allclose(cache.P[0, 0], [1 / 2] * 2 + [0] * 8, rtol=1e-15)
    assert_allclose(cache.P[1, 0], [1 / 6] * 6 + [0] * 4, rtol=1e-15)


def test_scores_are_divided_by_the_root_of_the_width(draw):
    Q, K, V = draw(3, 4), draw(5, 4), draw(5, 7)
    _, cache = attention(Q, K, V)
    assert_array_equal(cache.P, softmax(Q @ K.T / 2))
    assert cache.scale == 0.5
    _, cache = attention(Q, K, V, scale=2.0)
    assert_array_equal(cache.P, softmax(Q @ K.T * 2))


def test_the_gradient_for_a_query_is_the_covariance_of_the_keys(draw):
    # d2l 11.1, exercise 1: with V = K, ∂O/∂q = Cov_P[k] · scale
    K, dO = draw(5, 3), draw(1, 3)
    _, cache = attention(draw(1, 3), K, K, scale=1.0)
    covariance = np.cov(K.T, aweights=cache.P[0], ddof=0)
    assert_allclose(attention_backward(dO, cache)[0], dO @ covariance, rtol=1e-12)


def test_dropout_scales_the_surviving_weights(QKV):
    Q, K, V = QKV
    O, cache = attention(Q, K, V, dropout=0.25, rng=np.random.default_rng(0))
    assert_array_equal(np.unique(cache.keep), [0, 1 / 0.75])
    assert_array_equal(O, (cache.P * cache.keep) @ V)
    assert_array_equal(cache.P, attention(Q, K, V)[1].P)  # kept as it was before dropout


def test_without_a_generator_nothing_is_dropped(QKV):
    O, cache = attention(*QKV, dropout=0.5)
    assert cache.keep is None
    assert_array_equal(O, attention(*QKV)[0])


# ---- invariants ----


def test_the_weights_of_every_query_that_hears_sum_to_one(QKV, draw_mask):
    mask = draw_mask(2, 1, 4, 5)
    _, cache = attention(*QKV, mask)
    assert_allclose(cache.P.sum(axis=-1), np.broadcast_to(mask.any(axis=-1), (2, 3, 4)))
    assert_array_equal(cache.P != 0.0, np.broadcast_to(mask, (2, 3, 4, 5)))


def test_the_order_of_keys_does_not_matter_and_that_of_queries_carries_over(QKV, draw_mask, rng):
    (Q, K, V), mask = QKV, draw_mask(2, 3, 4, 5)
    i, j = rng.permutation(4), rng.permutation(5)
    O, _ = attention(Q, K, V, mask)
    found, _ = attention(Q[..., i, :], K[..., j, :], V[..., j, :], mask[..., i, :][..., j])
    assert_allclose(found, O[..., i, :], rtol=0, atol=1e-14)


def test_each_batch_entry_is_computed_by_itself(QKV, draw_mask):
    (Q, K, V), mask = QKV, draw_mask(2, 3, 4, 5)
    O, _ = attention(Q, K, V, mask)
    assert_allclose(O[1, 2], attention(Q[1, 2], K[1, 2], V[1, 2], mask[1, 2])[0], atol=1e-15)


def test_the_past_does_not_feel_the_future(draw):
    Q, K, V = draw(2, 6, 3), draw(2, 6, 3), draw(2, 6, 4)
    O, _ = attention(Q, K, V, causal_mask(6))
    future = np.arange(6)[:, None] >= 4
    changed, _ = attention(Q, np.where(future, 9.0, K), np.where(future, -9.0, V), causal_mask(6))
    assert_array_equal(changed[:, :4], O[:, :4])
    assert (changed[:, 4:] != O[:, 4:]).all()


def test_no_gradient_flows_back_from_the_past_to_the_future(draw):
    _, cache = attention(draw(6, 3), draw(6, 3), draw(6, 4), causal_mask(6))
    dO = draw(6, 4) * (np.arange(6)[:, None] < 4)
    for gradient in attention_backward(dO, cache):
        assert gradient[:4].any()
        assert not gradient[4:].any()


def test_a_dead_query_gets_zeros_and_gives_zeros(QKV, draw_mask):
    (Q, K, V), mask = QKV, draw_mask(4, 5)
    O, _ = attention(Q, K, V, mask)
    assert not O[..., 0, :].any()
    dQ, dK, dV = gradients(Q, K, V, mask)
    assert not dQ[..., 0, :].any()
    for found, alone in zip((dK, dV), gradients(Q, K, V, np.zeros((4, 5), bool))[1:], strict=True):
        assert np.isfinite(found).all() and found.any()
        assert not alone.any()


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e308, -1e308])
@pytest.mark.parametrize("where", ["K", "V", "both"])
def test_a_masked_key_or_value_cannot_leak(draw, QKV, poison, where):
    Q, K, V = QKV
    mask = valid_lens_mask([3, 0], 5)[:, None]  # one batch entry hears nothing at all
    silent = ~mask.swapaxes(-1, -2)
    signs = np.where(draw(7) > 0, 1.0, -1.0)  # inf − inf must not hurt either
    K2 = np.where(silent, poison * signs[:6], K) if where != "V" else K
    V2 = np.where(silent, poison * signs, V) if where != "K" else V
    assert_array_equal(attention(Q, K2, V2, mask)[0], attention(Q, K, V, mask)[0])
    for found, expected in zip(gradients(Q, K2, V2, mask), gradients(Q, K, V, mask), strict=True):
        assert_array_equal(found, expected)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_what_is_not_masked_does_show(QKV, poison):
    Q, K, V = QKV
    V[0, 0, 1, 2] = poison
    mask = np.ones((4, 5), bool)
    mask[2, 1] = False
    assert_array_equal(np.argwhere(~np.isfinite(attention(Q, K, V, mask)[0])),
                       [[0, 0, i, 2] for i in (0, 1, 3)])


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_dead_query_cannot_leak(QKV, draw_mask, poison):
    (Q, K, V), mask = QKV, draw_mask(4, 5)
    Q2 = Q.copy()
    Q2[..., 0, :] = poison
    assert_array_equal(attention(Q2, K, V, mask)[0], attention(Q, K, V, mask)[0])
    for found, expected in zip(gradients(Q2, K, V, mask), gradients(Q, K, V, mask), strict=True):
        assert_array_equal(found, expected)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("broken", [(1, 6, 6), (4, 3, 6), (4, 6, 3)])  # a row of Q, K or V, or none
def test_nothing_leaks_without_leading_axes_either(draw, poison, broken):
    QKV, mask = [draw(4, 6), draw(6, 6), draw(6, 7)], np.ones((4, 6), bool)
    mask[1] = mask[:, 3] = False
    spoilt = [np.where(np.arange(len(X))[:, None] == i, poison, X) for X, i in zip(QKV, broken)]
    assert_array_equal(attention(*spoilt, mask)[0], attention(*QKV, mask)[0])
    for found, expected in zip(gradients(*spoilt, mask), gradients(*QKV, mask), strict=True):
        assert_array_equal(found, expected)


@pytest.mark.parametrize("B, Tq, Tk", [(2, 4, 0), (2, 0, 5), (0, 4, 5)])
def test_nothing_to_attend_to(draw, B, Tq, Tk):
    Q, K, V = draw(B, Tq, 6), draw(B, Tk, 6), draw(B, Tk, 7)
    O, cache = attention(Q, K, V, np.ones((Tq, Tk), bool))
    assert_array_equal(O, np.zeros((B, Tq, 7)))
    for X, dX in zip((Q, K, V), attention_backward(O, cache), strict=True):
        assert_array_equal(dX, np.zeros(X.shape))


@pytest.mark.parametrize("options", [
    {}, {"scale": 0.7}, {"scale": np.float64(0.7)},
    {"dropout": 0.4, "rng": np.random.default_rng(3)},
], ids=["plain", "scale", "numpy scale", "dropout"])
def test_convention(convention, QKV, draw_mask, options):
    convention(attention, attention_backward, *QKV, draw_mask(2, 1, 4, 5), **options)


# ---- gradients ----


@pytest.mark.parametrize("mask_shape", [None, (4, 5), (2, 1, 1, 5), (3, 4, 5), (2, 3, 4, 5)])
def test_gradients(assert_gradients, QKV, draw_mask, mask_shape):
    assert_gradients(attention, attention_backward, *QKV, mask_shape and draw_mask(*mask_shape))


@pytest.mark.parametrize("options", [
    {"scale": 1.3}, {"scale": -0.2}, {"dropout": 0.4, "rng": np.random.default_rng(3)}
], ids=["scale", "negative scale", "dropout"])
def test_gradients_with_options(assert_gradients, QKV, draw_mask, options):
    assert_gradients(attention, attention_backward, *QKV, draw_mask(2, 1, 4, 5), **options)


def test_gradients_without_leading_axes_and_for_self_attention(assert_gradients, draw):
    assert_gradients(attention, attention_backward, draw(4, 6), draw(5, 6), draw(5, 7))

    def self_attention(X):
        return attention(X, X, X, causal_mask(5))

    def self_attention_backward(dO, cache):
        dQ, dK, dV = attention_backward(dO, cache)
        return dQ + dK + dV

    assert_gradients(self_attention, self_attention_backward, draw(2, 5, 3))


# ---- errors ----


@pytest.mark.parametrize("Q, K, V, why", [
    ((4, 6), (5, 3), (5, 7), "Dk is 6 in Q, 3 in K"),
    ((4, 6), (5, 6), (4, 7), "Tk is 5 in K, 4 in V"),
    ((2, 8, 4, 6), (2, 2, 5, 6), (2, 2, 5, 7), "where 2 heads of K serve 8 of Q"),
    ((2, 4, 6), (3, 5, 6), (2, 5, 7), "leading axes that do not broadcast"),
    ((6,), (5, 6), (5, 7), "Q has 1 axis, and needs at least 2"),
])
def test_shapes_that_disagree(Q, K, V, why):
    with pytest.raises(ValueError) as error:
        attention(np.zeros(Q), np.zeros(K), np.zeros(V))
    for part in (f"Q {Q}", f"K {K}", f"V {V}", why):
        assert part in str(error.value)


@pytest.mark.parametrize("name", ["Q", "K", "V"])
@pytest.mark.parametrize("dtype", [np.int64, np.longdouble, bool])
def test_other_dtypes(QKV, name, dtype):
    arrays = dict(zip("QKV", QKV, strict=True))
    arrays[name] = arrays[name].astype(dtype)
    message = f"^{name} must be float32 or float64, got {np.dtype(dtype)}"
    with pytest.raises(TypeError, match=message):
        attention(**arrays)


def test_mixed_precision(QKV):
    Q, K, V = QKV
    with pytest.raises(TypeError, match="K is float32 but V is float64; convert one"):
        attention(Q, K.astype(np.float32), V)


def test_masks_that_do_not_fit(QKV):
    with pytest.raises(ValueError, match=r"mask \(2, 5\) .* \(2, 3, 4, 5\)"):
        attention(*QKV, np.ones((2, 5), bool))
    with pytest.raises(TypeError, match="mask must be a boolean array .* mask_from_additive"):
        attention(*QKV, np.zeros((4, 5)))


def test_dropout_that_does_not_fit(QKV):
    with pytest.raises(ValueError, match=r"rate must lie in \[0, 1\), got 1.0"):
        attention(*QKV, dropout=1.0)
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator, got int"):
        attention(*QKV, dropout=0.1, rng=3)


# ---- shared heads and halves ----


@pytest.mark.parametrize("attend", [attention, tiled_attention])
def test_grouped_heads_are_heads_repeated_and_their_gradients_summed(draw, draw_mask, attend):
    """Q (batch, groups, heads of a group, Tq, Dk) with K and V that have one head a group."""
    backward = attention_backward if attend is attention else tiled_attention_backward
    Q, K, V, mask = draw(2, 3, 4, 5, 6), draw(2, 3, 1, 7, 6), draw(2, 3, 1, 7, 8), draw_mask(5, 7)
    dO = draw(2, 3, 4, 5, 8)
    O, cache = attend(Q, K, V, mask)
    repeated, other = attend(Q, np.repeat(K, 4, 2), np.repeat(V, 4, 2), mask)
    assert_allclose(O, repeated, rtol=1e-13, atol=1e-15)
    dQ, dK, dV = backward(dO, cache)
    found = backward(dO, other)
    assert_allclose(dQ, found[0], rtol=1e-12, atol=1e-14)
    assert_allclose(dK, found[1].sum(axis=2, keepdims=True), rtol=1e-12, atol=1e-14)
    assert_allclose(dV, found[2].sum(axis=2, keepdims=True), rtol=1e-12, atol=1e-14)


def test_gradients_of_grouped_heads(assert_gradients, draw, draw_mask):
    args = draw(2, 3, 4, 6), draw(2, 1, 5, 6), draw(1, 5, 7), draw_mask(4, 5)
    assert_gradients(attention, attention_backward, *args)


@pytest.mark.parametrize("attend", [attention, tiled_attention])
def test_halves_are_computed_in_float32_and_returned_as_they_came(QKV, attend):
    backward = attention_backward if attend is attention else tiled_attention_backward
    halves = [X.astype(np.float16) for X in QKV]
    singles = [X.astype(np.float32) for X in halves]
    (O, cache), (expected, other) = attend(*halves), attend(*singles)
    assert O.dtype == np.float16
    assert_array_equal(O, expected.astype(np.float16))
    dO = np.ones_like(O)
    wanted = backward(dO.astype(np.float32), other)
    for found, want in zip(backward(dO, cache), wanted, strict=True):
        assert found.dtype == np.float16
        assert_array_equal(found, want.astype(np.float16))


def test_underflow_raises_nothing(QKV):
    Q, K, V = QKV
    with np.errstate(all="raise"):
        O, cache = attention(Q * 100, K * 100, V)
        attention_backward(O, cache)


@pytest.mark.parametrize("dO, error, words", [
    (np.ones((1, 3, 4, 7)), ValueError, r"dO has the leading axes \(1, 3\), and needs \(2, 3\)"),
    (np.ones((2, 3, 4, 7), int), TypeError, "dO must be float32 or float64, got int64"),
    (np.ones((2, 3, 4, 7), np.float32), TypeError, "dO is float32"),
])
def test_upstream_gradients_that_do_not_fit(QKV, dO, error, words):
    with pytest.raises(error, match=words):
        attention_backward(dO, attention(*QKV)[1])


@pytest.mark.parametrize("options, error", [
    ({"scale": "0.5"}, TypeError), ({"scale": np.ones(3)}, TypeError),
    ({"scale": math.nan}, ValueError),
    ({"dropout": "0.1"}, TypeError), ({"dropout": np.ones(2)}, TypeError),
])
def test_options_of_another_kind(QKV, options, error):
    with pytest.raises(error, match=f"^{next(iter(options))}"):
        attention(*QKV, **options)


def test_the_way_through_attention_is_short(QKV):
    # what a reader has to follow: pages, functions and lines behind one masked call and gradient
    (Q, K, V), mask = QKV, causal_mask(4, 5)
    pages, functions, lines = set(), set(), set()

    def follow(frame, event, _):
        page = frame.f_code.co_filename
        if "npattn" not in page or page == __file__:
            return None
        pages.add(page)
        functions.add(frame.f_code)
        if event == "line":
            lines.add((page, frame.f_lineno))
        return follow

    before = sys.gettrace()
    for tracer in (None, follow):  # the first call fills what is remembered of shapes
        sys.settrace(tracer)
        try:
            O, cache = attention(Q, K, V, mask)
            attention_backward(O, cache)
        finally:
            sys.settrace(before)
    assert (len(pages), len(functions)) <= (5, 14) and len(lines) <= 60
