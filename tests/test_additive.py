"""Additive attention."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.checking import assert_gradients
from npattn.kernels.additive import (
    AdditiveParams,
    additive_attention,
    additive_attention_backward,
    init_additive,
)
from npattn.kernels.masks import valid_lens_mask


@pytest.fixture
def QKV(draw):
    """Every axis of another length: batch 2, Tq 3, Tk 4, Dq 5, Dk 6, Dv 7; H is 8."""
    return draw(2, 3, 5), draw(2, 4, 6), draw(2, 4, 7)


@pytest.fixture
def params(rng, shake):
    return shake(init_additive(5, 6, 8, rng))


def gradients(Q, K, V, params, mask=None, **options):
    O, cache = additive_attention(Q, K, V, params, mask, **options)
    return additive_attention_backward(np.random.default_rng(1).standard_normal(O.shape), cache)


# ---- values ----


def test_one_query_by_hand():
    # q = 0 and w = 2: S = 2 tanh(k) = (0, ln 3) for k = (0, artanh(ln 3 / 2)), so P = (1/4, 3/4)
    Q, K = np.zeros((1, 1)), np.array([[0.0], [np.arctanh(np.log(3.0) / 2)]])
    V = np.array([[4.0, 0.0], [8.0, 4.0]])
    params = AdditiveParams(np.ones((1, 1)), np.ones((1, 1)), np.array([2.0]))
    O, cache = additive_attention(Q, K, V, params)
    assert_allclose(cache.P, [[1 / 4, 3 / 4]], rtol=1e-14)
    assert_allclose(O, [[7, 3]], rtol=1e-14)
    # dP = (4, 8), Σ dP P = 7, dS = (−3/4, 3/4); dk = dS · 2 (1 − tanh² k)
    dQ, dK, dV, dparams = additive_attention_backward(np.array([[1.0, 0.0]]), cache)
    slope = 2 * (1 - np.log(3.0) ** 2 / 4)
    assert_allclose(dK, [[-3 / 2], [3 / 4 * slope]], rtol=1e-14)
    assert_allclose(dQ, [[-3 / 2 + 3 / 4 * slope]], rtol=1e-14)
    assert_allclose(dV, [[1 / 4, 0], [3 / 4, 0]], rtol=1e-14)
    assert_allclose(dparams.w, [3 / 8 * np.log(3.0)], rtol=1e-14)


def test_equal_keys_average_the_valid_values(draw, rng):
    K, V = np.ones((2, 10, 2)), np.tile(np.arange(40.0).reshape(10, 4), (2, 1, 1))
    params = init_additive(20, 2, 8, rng)
    O, _ = additive_attention(draw(2, 1, 20), K, V, params, valid_lens_mask([2, 6], 10))
    assert_allclose(O, [[[2, 3, 4, 5]], [[10, 11, 12, 13]]], rtol=1e-14)


def test_weights_begin_within_their_bounds_and_reach_them(rng):
    # √(6 / (in + out)); w is a layer from H to one output
    drawn = [init_additive(3, 5, 2, rng) for _ in range(300)]
    for Ws, ends in zip(zip(*drawn), [(3, 2), (5, 2), (2, 1)]):
        assert 0.97 < np.max(np.abs(Ws)) / np.sqrt(6.0 / sum(ends)) <= 1.0
        assert np.min(Ws) < 0.0 < np.max(Ws)


# ---- invariants ----


def test_weights_are_shares_of_the_allowed_keys(QKV, params, draw_mask):
    mask = draw_mask(2, 3, 4)
    O, cache = additive_attention(*QKV, params, mask)
    assert_allclose(cache.P.sum(axis=-1), mask.any(axis=-1), rtol=1e-15)
    assert not cache.P[~mask].any() and not O[:, 0].any() and not cache.F[~mask].any()


def test_swapping_keys_with_their_values_changes_nothing(QKV, params):
    Q, K, V = QKV
    O, _ = additive_attention(Q, K, V, params)
    shuffled, _ = additive_attention(Q, K[:, ::-1], V[:, ::-1], params)
    assert_allclose(shuffled, O, rtol=1e-13)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_masked_key_leaks_neither_forward_nor_backward(QKV, params, bad):
    Q, K, V = QKV
    mask = valid_lens_mask([3, 2], 4)
    spoilt_K, spoilt_V = K.copy(), V.copy()
    spoilt_K[0, 3:] = spoilt_K[1, 2:] = spoilt_V[0, 3:] = spoilt_V[1, 2:] = bad
    O, _ = additive_attention(Q, K, V, params, mask)
    spoilt, _ = additive_attention(Q, spoilt_K, spoilt_V, params, mask)
    assert_array_equal(spoilt, O)
    for got, want in zip(
        gradients(Q, spoilt_K, spoilt_V, params, mask), gradients(Q, K, V, params, mask),
        strict=True,
    ):
        if isinstance(want, AdditiveParams):
            for g, w in zip(got, want, strict=True):
                assert_allclose(g, w, rtol=1e-13, atol=1e-15)
        else:
            assert_array_equal(got, want)


def test_dropout_scales_the_survivors(QKV, params):
    Q, K, _ = QKV
    V = np.tile(np.eye(4), (2, 1, 1))
    O, cache = additive_attention(Q, K, V, params, dropout=0.5, rng=np.random.default_rng(0))
    assert_array_equal(O, cache.P * cache.attended.keep)
    assert set(np.unique(cache.attended.keep)) == {0.0, 2.0}


def test_convention(convention, QKV, params, draw_mask):
    convention(additive_attention, additive_attention_backward, *QKV, params, draw_mask(2, 3, 4))


def test_no_columns_at_all(rng, draw):
    Q, K, V, params = np.zeros((2, 3, 0)), draw(2, 4, 6), draw(2, 4, 7), init_additive(0, 6, 8, rng)
    dQ, dK, _, dparams = gradients(Q, K, V, params)
    assert dQ.shape == Q.shape and dK.shape == K.shape and dparams.Wq.shape == (0, 8)


# ---- gradients ----


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients(QKV, params, draw_mask, masked, dropout):
    mask = draw_mask(2, 3, 4) if masked else None
    assert_gradients(
        additive_attention, additive_attention_backward, *QKV, params, mask,
        dropout=dropout, rng=np.random.default_rng(5),
    )


@pytest.mark.parametrize("leading", [(), (2, 3)])
def test_gradients_with_other_leading_axes(draw, params, leading):
    Q, K, V = draw(*leading, 3, 5), draw(*leading, 4, 6), draw(*leading, 4, 7)
    assert_gradients(additive_attention, additive_attention_backward, Q, K, V, params)


def test_agrees_with_torch(QKV, params, draw_mask):
    torch = pytest.importorskip("torch")
    mask = draw_mask(2, 3, 4)
    mask[..., 0, 0] = True  # torch's softmax has no answer for a dead query
    Q, K, V, Wq, Wk, w = (torch.tensor(X, requires_grad=True) for X in (*QKV, *params))
    S = torch.tanh((Q @ Wq).unsqueeze(2) + (K @ Wk).unsqueeze(1)) @ w
    want = torch.softmax(S.masked_fill(~torch.tensor(mask), float("-inf")), dim=-1) @ V
    O, cache = additive_attention(*QKV, params, mask)
    assert_allclose(O, want.detach().numpy(), rtol=1e-12, atol=1e-14)
    dO = np.random.default_rng(3).standard_normal(O.shape)
    want.backward(torch.tensor(dO))
    dQ, dK, dV, dparams = additive_attention_backward(dO, cache)
    for got, leaf in zip((dQ, dK, dV, *dparams), (Q, K, V, Wq, Wk, w), strict=True):
        assert_allclose(got, leaf.grad.numpy(), rtol=1e-12, atol=1e-13)


# ---- errors ----


@pytest.mark.parametrize(
    "shapes, words",
    [
        (((5,), (4, 6), (4, 7)), "^Q has 1 axis, and needs at least 2"),
        (((2, 3, 5), (3, 4, 6), (2, 4, 7)), "leading axes"),
        (((3, 5), (4, 6), (3, 7)), "^Tk is 4 in K, 3 in V"),
        (((3, 6), (4, 6), (4, 7)), "^Dq is 6 in Q, 5 in Wq"),
        (((3, 5), (4, 5), (4, 7)), "^Dk is 5 in K, 6 in Wk"),
    ],
)
def test_shapes_that_do_not_fit(params, shapes, words):
    with pytest.raises(ValueError, match=words):
        additive_attention(*map(np.zeros, shapes), params)


def test_dtypes_and_masks_that_do_not_fit(QKV, params):
    Q, K, V = QKV
    with pytest.raises(TypeError, match="Q is float32"):
        additive_attention(Q.astype(np.float32), K, V, params)
    with pytest.raises(TypeError, match="boolean"):
        additive_attention(Q, K, V, params, np.ones((3, 4)))
    with pytest.raises(ValueError, match="broadcast"):
        additive_attention(Q, K, V, params, np.ones((4, 3), bool))
