"""What may stand between the scores and their use: a cap, a bias, a sink; and a key/value cache."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.checking import gradcheck_second_order
from npattn.kernels.attention import attend, attend_backward
from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.biases import biased_attention, biased_attention_backward
from npattn.kernels.key_value_cache import (
    KeysValues,
    append_keys_values,
    append_keys_values_backward,
)
from npattn.kernels.masks import causal_mask
from npattn.kernels.online_softmax import merge_partials
from npattn.kernels.score_bias import add_bias, add_bias_backward
from npattn.kernels.scores import dot_scores, dot_scores_backward
from npattn.kernels.sinks import attend_with_sink, attend_with_sink_backward
from npattn.kernels.soft_cap import soft_cap, soft_cap_backward
from npattn.kernels.tiling import score_arguments
from npattn.kernels.tiling.score_arguments import steps_of
from npattn.kernels.tiling.tiled import tiled_attention


def both_orders(assert_gradients, f, f_backward, *args, **options):
    assert_gradients(f, f_backward, *args, **options)
    report = gradcheck_second_order(f, f_backward, *args, **options)
    assert report.ok, str(report)


# ---- soft cap ----


def test_a_cap_by_hand():
    # tanh(ln 2) = 3/5
    Y, cache = soft_cap(np.array([2 * math.log(2), 0.0, -1e9]), 2.0)
    assert_allclose(Y, [1.2, 0.0, -2.0], rtol=1e-15)
    assert_allclose(soft_cap_backward(np.array([1.0, 1.0, 1.0]), cache), [0.64, 1.0, 0.0])


def test_a_high_cap_changes_nothing(draw):
    S = draw(3, 4)
    assert_allclose(soft_cap(S, 1e6)[0], S, rtol=1e-10)


@pytest.mark.parametrize("cap", [0.0, 0, -1.0, np.inf, np.nan])
def test_a_cap_that_is_not_positive(cap):
    with pytest.raises(ValueError, match="cap must be positive, such as 50.0, got .* None"):
        soft_cap(np.zeros(3), cap)


def test_gradients_of_a_cap(assert_gradients, draw, convention):
    convention(soft_cap, soft_cap_backward, draw(2, 3, 4), 1.5)
    both_orders(assert_gradients, soft_cap, soft_cap_backward, draw(2, 3, 4), 1.5)


# ---- bias ----


@pytest.mark.parametrize("shape", [(), (4,), (3, 1), (2, 1, 1), (5, 2, 3, 4)])
def test_gradients_of_a_bias(assert_gradients, draw, shape):
    S, bias = draw(5, 2, 3, 4), np.asarray(draw(*shape))
    if shape:
        both_orders(assert_gradients, add_bias, add_bias_backward, S, bias)
    assert_array_equal(add_bias(S, bias)[0], S + bias)


def test_convention_of_a_bias(convention, draw):
    convention(add_bias, add_bias_backward, draw(2, 3, 4), draw(3, 1))


def test_a_cap_keeps_a_nan_behind_a_mask_and_warns_of_nothing(draw):
    S, mask = draw(3, 5), np.arange(5) != 2
    dO, V = draw(3, 2), draw(5, 2)

    def run(S):
        with np.errstate(all="raise"):
            Y, capped = soft_cap(S, 0.5)
            dS, _ = attend_backward(dO, attend(Y, V, mask)[1])
            return soft_cap_backward(dS, capped)

    expected = run(S)
    for broken in (np.nan, np.inf, 1e308, 1e-320):
        S[:, 2] = broken
        assert_array_equal(run(S), expected)


def test_what_a_bias_forbids_has_no_gradient():
    bias = np.array([[0.0, -np.inf, np.inf]])
    dS, dbias = add_bias_backward(np.ones((2, 3)), add_bias(np.zeros((2, 3)), bias)[1])
    assert_array_equal(dS, [[1, 0, 1]] * 2)
    assert_array_equal(dbias, [[2, 0, 2]])
    with np.errstate(all="raise"):
        assert add_bias(np.array([[np.inf]]), np.array([[-np.inf]]))[0] == -np.inf


def test_a_bias_of_minus_infinity_is_a_mask_that_lets_no_nan_through(draw, draw_mask):
    Q, K, V, mask = draw(2, 4, 6), draw(2, 5, 6), draw(2, 5, 3), draw_mask(4, 5)
    mask[:, 2], dO = False, draw(2, 4, 3)
    K[:, 2], V[:, 2] = np.nan, np.inf
    bias = np.where(mask, 0.0, -np.inf)

    def run(bias, mask):
        S, scored = dot_scores(Q, K)
        Y, added = add_bias(S, bias)
        O, attended = attend(Y, V, mask)
        dY, dV = attend_backward(dO, attended)
        dS, dbias = add_bias_backward(dY, added)
        return O, *dot_scores_backward(dS, scored), dV, dbias

    for got, wanted in zip(run(bias, None), run(np.zeros_like(bias), mask), strict=True):
        assert np.isfinite(got).all()
        assert_array_equal(got, wanted)


def test_a_bias_that_does_not_broadcast():
    with pytest.raises(ValueError, match=r"bias \(2, 5\) does not broadcast to the scores"):
        add_bias(np.zeros((2, 4)), np.zeros((2, 5)))
    with pytest.raises(ValueError, match="does not broadcast"):
        add_bias(np.zeros((2, 4)), np.zeros((3, 2, 4)))


# ---- sink ----


@pytest.fixture
def sunk(draw, draw_mask):
    """S, V, sink and a mask whose first row of queries is dead."""
    return draw(2, 3, 4, 5), draw(2, 3, 5, 6), draw(3), draw_mask(2, 1, 4, 5)


def test_a_sink_takes_its_share_and_has_nothing_to_say():
    S, V = np.zeros((1, 1, 2)), np.array([[[1.0], [3.0]]])
    O, cache = attend_with_sink(S, V, np.array([math.log(2)]))  # shares 1/4, 1/4, 1/2
    assert_allclose(O, [[[1.0]]])
    dS, dV, dsink = attend_with_sink_backward(np.ones((1, 1, 1)), cache)
    assert_allclose(dS, [[[0.0, 0.5]]], atol=1e-15)  # P_j (v_j − O)
    assert_allclose(dV, [[[0.25], [0.25]]])
    assert_allclose(dsink, [-0.5])                    # −P_sink dO · O


def test_a_sink_of_minus_infinity_is_none(sunk):
    S, V, sink, mask = sunk
    expected, _ = attend(S, V, mask)
    assert_allclose(attend_with_sink(S, V, sink - np.inf, mask)[0], expected, rtol=1e-14)


def test_a_sink_is_a_part_without_values_that_is_merged(draw, draw_mask):
    Q, K, V, sink = draw(2, 3, 4, 6), draw(2, 3, 5, 6), draw(2, 3, 5, 7), draw(3)
    mask = draw_mask(2, 1, 4, 5)
    O, cache = tiled_attention(Q, K, V, mask)
    L = np.broadcast_to(sink[:, None], cache.L.shape)
    merged, _ = merge_partials((O, cache.L), (np.zeros_like(O), np.array(L)))
    found, _ = attend_with_sink(dot_scores(Q, K)[0], V, sink, mask)
    assert_allclose(found, merged.O, rtol=1e-12, atol=1e-14)


def test_a_query_without_keys_gets_zero_and_moves_no_sink(sunk, draw):
    S, V, sink, _ = sunk
    O, cache = attend_with_sink(S, V, sink, np.array(False))
    assert not O.any() and not cache.P.any()
    assert not any(gradient.any() for gradient in attend_with_sink_backward(O + 1.0, cache))


def test_nothing_behind_the_mask_leaks(sunk):
    S, V, sink, mask = sunk
    mask = mask & (np.arange(5) != 2)
    expected, cache = attend_with_sink(S, V, sink, mask)
    S, V = S.copy(), V.copy()
    S[..., 2], V[:, :, 2] = np.nan, np.inf
    found, broken = attend_with_sink(S, V, sink, mask)
    assert_array_equal(found, expected)
    dO = np.ones_like(found)
    for a, b in zip(attend_with_sink_backward(dO, cache), attend_with_sink_backward(dO, broken)):
        assert_array_equal(a, b)


@pytest.mark.sampled(5)
@pytest.mark.parametrize("mask_shape", [(2, 1, 4, 5), (5,), (4, 1)])
@pytest.mark.parametrize("sink_shape", [(3,), (1,), (2, 1), (2, 3)])
def test_gradients_of_a_sink(assert_gradients, draw, rng, mask_shape, sink_shape):
    mask = rng.random(mask_shape) < 0.6
    args = draw(2, 3, 4, 5), draw(2, 3, 5, 6), draw(*sink_shape), mask
    pair = attend_with_sink, attend_with_sink_backward
    assert_gradients(*pair, *args, dropout=0.3, rng=rng)
    report = gradcheck_second_order(*pair, *args)
    assert report.ok, str(report)


def test_convention_of_a_sink(convention, sunk):
    convention(attend_with_sink, attend_with_sink_backward, *sunk)


def test_sinks_of_another_length(sunk):
    S, V, _, mask = sunk
    with pytest.raises(ValueError, match=r"sink \(4,\) does not fit S .* one for each head"):
        attend_with_sink(S, V, np.zeros(4), mask)
    with pytest.raises(ValueError, match="Tk is 5 in S, 4 in V"):
        attend_with_sink(S, V[:, :, :4], np.zeros(3))
    with pytest.raises(ValueError, match=r"mask \(4, 6\) does not broadcast"):
        attend_with_sink(S, V, np.zeros(3), np.ones((4, 6), bool))
    with pytest.raises(TypeError, match="mask must be"):
        attend_with_sink(S, V, np.zeros(3), np.ones((4, 5), int))


# ---- key/value cache ----


def test_a_text_read_in_portions_gives_what_it_gives_at_once(draw):
    T, cut = 7, 4
    Q, K, V, dO = draw(2, T, 6), draw(2, T, 6), draw(2, T, 3), draw(2, T, 3)
    whole, cache = attention(Q, K, V, causal_mask(T))
    expected = attention_backward(dO, cache)

    past = KeysValues(K[:, :0], V[:, :0])
    first, appended1 = append_keys_values(past, K[:, :cut], V[:, :cut])
    O1, cache1 = attention(Q[:, :cut], *first, causal_mask(cut))
    second, appended2 = append_keys_values(first, K[:, cut:], V[:, cut:])
    O2, cache2 = attention(Q[:, cut:], *second, causal_mask(T - cut, T, offset=cut))
    assert_allclose(np.concatenate([O1, O2], axis=1), whole, rtol=1e-13)

    dQ2, *dpresent = attention_backward(dO[:, cut:], cache2)
    dpast, dK2, dV2 = append_keys_values_backward(KeysValues(*dpresent), appended2)
    dQ1, dK1, dV1 = attention_backward(dO[:, :cut], cache1)
    total = KeysValues(dpast.K + dK1, dpast.V + dV1)
    nothing, dK1, dV1 = append_keys_values_backward(total, appended1)
    assert nothing.K.size == nothing.V.size == 0
    for parts, wanted in zip([(dQ1, dQ2), (dK1, dK2), (dV1, dV2)], expected, strict=True):
        assert_allclose(np.concatenate(parts, axis=1), wanted, rtol=0, atol=1e-13)


def test_gradients_of_a_cache(assert_gradients, draw):
    args = KeysValues(draw(2, 3, 4, 6), draw(2, 3, 4, 5)), draw(2, 3, 2, 6), draw(2, 3, 2, 5)
    both_orders(assert_gradients, append_keys_values, append_keys_values_backward, *args)


def test_a_cache_of_halves_stays_one():
    half = np.ones((2, 3, 4), np.float16)
    present, cache = append_keys_values(KeysValues(half, half), half[:, :1], half[:, :1])
    dpast, dK, dV = append_keys_values_backward(present, cache)
    assert {X.dtype for X in (*present, *dpast, dK, dV)} == {np.dtype(np.float16)}
    with pytest.raises(TypeError, match="must be float32 or float64, got float16"):
        append_keys_values(KeysValues(half, half), half[:, :1].astype(np.float32), half[:, :1])
    with pytest.raises(TypeError, match="float16"):
        append_keys_values(KeysValues(*map(np.float32, (half, half))), half[:, :1], half[:, :1])
    with pytest.raises(ValueError, match="Dk is 4 in past.K, 3 in K"):
        append_keys_values(KeysValues(half, half), half[:, :1, :3], half[:, :1])


def test_biased_attention_of_halves_is_computed_in_single(draw):
    args = [draw(2, 3, 4), draw(2, 5, 4), draw(2, 5, 6), draw(3, 5)]
    half = [X.astype(np.float16) for X in args]
    single = [X.astype(np.float32) for X in half]
    (O, cache), (O32, cache32) = biased_attention(*half), biased_attention(*single)
    assert O.dtype == np.float16
    assert_array_equal(O, O32.astype(np.float16))
    dO = draw(*O.shape).astype(np.float16)
    expected = biased_attention_backward(dO.astype(np.float32), cache32)
    for found, wanted in zip(biased_attention_backward(dO, cache), expected, strict=True):
        assert_array_equal(found, wanted.astype(np.float16))


def test_a_past_that_does_not_fit(draw):
    past = KeysValues(draw(2, 4, 6), draw(2, 4, 5))
    with pytest.raises(ValueError, match="Dk is 6 in past.K, 7 in K"):
        append_keys_values(past, draw(2, 1, 7), draw(2, 1, 5))
    with pytest.raises(ValueError, match="T is 1 in K, 2 in V"):
        append_keys_values(past, draw(2, 1, 6), draw(2, 2, 5))
    with pytest.raises(ValueError, match=r"leading axes differ: .* K \(1, 1, 6\)"):
        append_keys_values(past, draw(1, 1, 6), draw(1, 1, 5))


def test_the_largest_bias_of_a_row_and_whether_it_forbids():
    # of what it does not forbid; 0 is there in any case, since scores alone may be the largest
    bias = np.array([[-np.inf, -3.0, 2.0], [1.0, 4.0, -0.5], [-1.0, -2.0, -0.5]])
    steps = steps_of((2, 3, 3), bias.dtype, bias=bias)
    assert steps.largest.tolist() == [[3.0, 4.0, 2.0]] and steps.forbids
    assert not steps_of((2, 3, 3), bias.dtype, bias=bias[[1, 2, 1]]).forbids
    small = np.array([[0.2, 0.1], [-3.0, 0.0]])
    assert steps_of((2, 2), bias.dtype, bias=small).largest.tolist() == [[0.2, 3.0]]


def test_a_bias_is_looked_through_on_several_threads(monkeypatch, draw):
    monkeypatch.setattr(score_arguments, "WORTH_THREADS", 50)
    monkeypatch.setattr(score_arguments, "ROWS", 2)
    used = []
    monkeypatch.setattr(score_arguments, "run", lambda jobs, threads: (
        used.append(threads), [job() for job, _ in jobs]))
    for rows, threads in ((5, 3), (4, 1)):
        bias = draw(2, rows, 5)
        steps = steps_of(bias.shape, bias.dtype, bias=bias, threads=3)
        assert_array_equal(steps.largest, np.abs(bias).max(axis=2))
        assert used.pop() == threads and not steps.forbids
