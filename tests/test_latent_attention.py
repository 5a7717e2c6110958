"""Latent attention, expanded and absorbed; differential attention."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.checking import gradcheck_second_order
from npattn.kernels.attention import attention
from npattn.kernels.differential import (
    LambdaParams,
    differential_attention,
    differential_attention_backward,
    differential_lambda,
    differential_lambda_backward,
)
from npattn.kernels.latent_attention import (
    LatentParams,
    latent_attention,
    latent_attention_absorbed,
    latent_attention_absorbed_backward,
    latent_attention_backward,
)
from npattn.kernels.rotary import rotary
from npattn.trees import tree_leaves

B, H, TQ, TK, DC, DR, R, DV = 2, 3, 4, 5, 6, 2, 8, 7
EXPANDED = latent_attention, latent_attention_backward
ABSORBED = latent_attention_absorbed, latent_attention_absorbed_backward
both_forms = pytest.mark.parametrize("pair", [EXPANDED, ABSORBED], ids=["expanded", "absorbed"])


@pytest.fixture
def latent(draw, draw_mask):
    """Qc, Qr, C, Kr, params and a mask with a dead row."""
    params = LatentParams(draw(H, R, DC), draw(H, R, DV))
    return (draw(B, H, TQ, DC), draw(B, H, TQ, DR), draw(B, TK, R), draw(B, TK, DR), params,
            draw_mask(B, 1, TQ, TK))


def second_order(f, f_backward, *args):
    report = gradcheck_second_order(f, f_backward, *args)
    assert report.ok, str(report)


# ---- latent ----


@both_forms
def test_every_head_attends_with_keys_and_values_of_its_own(latent, pair):
    Qc, Qr, C, Kr, (U, W), mask = latent
    O, cache = pair[0](*latent)
    for b, h in np.ndindex(B, H):
        K = np.concatenate([C[b] @ U[h], Kr[b]], axis=-1)
        Q = np.concatenate([Qc[b, h], Qr[b, h]], axis=-1)
        expected, one = attention(Q, K, C[b] @ W[h], mask[b, 0], scale=1 / math.sqrt(DC + DR))
        assert_allclose(O[b, h], expected, rtol=0, atol=1e-13)
        assert_allclose(cache.attended.P[b, h], one.P, rtol=0, atol=1e-13)


def test_the_absorbed_form_gives_the_same_gradients(latent, draw):
    dO = draw(B, H, TQ, DV)
    found, expected = (f_backward(dO, f(*latent)[1]) for f, f_backward in (ABSORBED, EXPANDED))
    for a, b in zip(tree_leaves(found), tree_leaves(expected), strict=True):
        assert_allclose(a, b, rtol=0, atol=1e-12)


@both_forms
def test_a_scale_of_ones_own(latent, pair):
    Qc, Qr, *others = latent
    expected = pair[0](3 * Qc, 3 * Qr, *others)[0]
    assert_allclose(pair[0](*latent, scale=3 / math.sqrt(DC + DR))[0], expected, atol=1e-12)


@both_forms
def test_only_the_distance_of_turned_positions_matters(latent, pair):
    Qc, Qr, C, Kr, params, mask = latent

    def at(offset):
        turned = rotary(Qr, offset=offset + 1)[0], rotary(Kr, offset=offset)[0]
        return pair[0](Qc, turned[0], C, turned[1], params, mask)[0]

    assert_allclose(at(100), at(0), rtol=0, atol=1e-11)


@both_forms
def test_a_dead_row_is_zero_and_nothing_masked_leaks(latent, pair, draw):
    Qc, Qr, C, Kr, params, mask = latent
    mask = mask & (np.arange(TK) != 3)
    expected, _ = pair[0](Qc, Qr, C, Kr, params, mask)
    assert not expected[:, :, 0].any()
    C, Kr = C.copy(), Kr.copy()
    C[:, 3], Kr[:, 3] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        found, cache = pair[0](Qc, Qr, C, Kr, params, mask)
    assert_allclose(found, expected, rtol=0, atol=1e-13)


@pytest.mark.sampled(2)
@both_forms
@pytest.mark.parametrize("leading", [(), (2,)])
def test_gradients_of_latent_attention(assert_gradients, draw, draw_mask, pair, leading):
    args = (
        draw(*leading, H, TQ, DC), draw(*leading, H, TQ, DR), draw(*leading, TK, R),
        draw(*leading, TK, DR), LatentParams(draw(H, R, DC), draw(H, R, DV)), draw_mask(TQ, TK),
    )
    assert_gradients(*pair, *args)
    second_order(*pair, *args)


@both_forms
def test_convention_of_latent_attention(convention, latent, pair):
    convention(*pair, *latent)


@both_forms
def test_latents_that_do_not_fit(latent, pair):
    Qc, Qr, C, Kr, params, mask = latent
    with pytest.raises(ValueError, match="R is 7 in C, 8 in U"):
        pair[0](Qc, Qr, C[..., :7], Kr, params)
    with pytest.raises(ValueError, match="H is 3 in Qc, 2 in U"):
        pair[0](Qc, Qr, C, Kr, LatentParams(params.U[:2], params.W[:2]))
    with pytest.raises(ValueError, match="Dr is 2 in Qr, 1 in Kr"):
        pair[0](Qc, Qr, C, Kr[..., :1], params)


# ---- differential ----


@pytest.fixture
def two(draw, draw_mask):
    """Q1, Q2, K1, K2, V, λ and a mask with a dead row."""
    return (draw(B, H, TQ, DC), draw(B, H, TQ, DC), draw(B, H, TK, DC), draw(B, H, TK, DC),
            draw(B, H, TK, DV), draw(H), draw_mask(B, 1, TQ, TK))


def test_the_second_attention_is_taken_from_the_first(two):
    Q1, Q2, K1, K2, V, lam, mask = two
    O, cache = differential_attention(*two)
    first, second = attention(Q1, K1, V, mask)[0], attention(Q2, K2, V, mask)[0]
    assert_allclose(O, first - lam[:, None, None] * second, atol=1e-14)
    assert_allclose(cache.P @ V, O, atol=1e-13)
    assert not O[:, :, 0].any()
    alive = np.broadcast_to(mask.any(axis=-1), O.shape[:-1])
    assert_allclose(cache.P.sum(axis=-1)[alive],
                    np.broadcast_to(1.0 - lam[:, None], O.shape[:-1])[alive], rtol=1e-12)


def test_what_both_agree_on_cancels(two):
    Q1, _, K1, _, V, _, mask = two
    O, _ = differential_attention(Q1, Q1, K1, K1, V, np.ones(H), mask)
    assert_array_equal(O, np.zeros_like(O))


def test_lambda_by_hand():
    params = LambdaParams(*(np.array([[a, 0.0]]) for a in (1.0, math.log(3), 2.0, 0.0)))
    lam, cache = differential_lambda(params, initial=0.2)
    assert_allclose(lam, [2.2])  # 3 − 1 + 0.2
    dparams = differential_lambda_backward(np.array([1.0]), cache)
    assert_allclose(dparams.k1, [[3.0, 0.0]])
    assert_allclose(dparams.k2, [[-2.0, 0.0]])


def test_gradients_of_differential_attention(assert_gradients, two, draw):
    pair = differential_attention, differential_attention_backward
    assert_gradients(*pair, *two)
    second_order(*pair, *two)
    assert_gradients(*pair, *two[:5], draw(B, H), two[6], scale=0.3)
    pair, params = (differential_lambda, differential_lambda_backward), LambdaParams(
        *(draw(3, 4) for _ in range(4)))
    assert_gradients(*pair, params)
    second_order(*pair, params)


def test_convention_of_differential_attention(convention, two, draw):
    convention(differential_attention, differential_attention_backward, *two)
    params = LambdaParams(*(draw(3, 4) for _ in range(4)))
    convention(differential_lambda, differential_lambda_backward, params)


def test_lambda_and_its_gradient_for_any_leading_axes(assert_gradients, draw, two):
    params = LambdaParams(*(0.3 * draw(4, 2, 3) for _ in range(4)))
    assert differential_lambda(params)[0].shape == (4, 2)
    pair, one = (differential_attention, differential_attention_backward), [X[0] for X in two[:5]]
    assert_gradients(*pair, *one, two[5])


def test_vectors_of_lambda_that_do_not_fit_are_named(draw):
    with pytest.raises(ValueError, match="^D is 5 in q1, 4 in k2"):
        differential_lambda(LambdaParams(draw(H, 5), draw(H, 5), draw(H, 5), draw(H, 4)))


def test_lambdas_of_another_length(two):
    with pytest.raises(ValueError, match=r"lam|broadcast"):
        differential_attention(*two[:5], np.zeros(4))
    with pytest.raises(ValueError, match=r"lam \(5, 2, 3\) must be one for each head"):
        differential_attention(*(X[0] for X in two[:5]), np.zeros((5, 2, 3)))
