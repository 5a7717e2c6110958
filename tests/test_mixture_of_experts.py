"""A mixture of experts and its balancing loss."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.checking import gradcheck_second_order
from npattn.kernels.gated import swiglu
from npattn.kernels.mixture_of_experts import (
    ExpertsParams,
    init_experts,
    mixture_of_experts,
    mixture_of_experts_backward,
)
from npattn.kernels.softmax import softmax

D, F, E = 6, 5, 4


@pytest.fixture
def params(rng):
    return init_experts(D, F, E, rng)


def one_expert(x, params, e):
    return swiglu(x @ params.gate[e], x @ params.up[e])[0] @ params.down[e]


# ---- values ----


@pytest.mark.parametrize("k", [1, 2, E])
def test_each_token_by_itself(draw, params, k):
    X = draw(2, 3, D)
    (Y, _), cache = mixture_of_experts(X, params, k)
    for i, x in enumerate(X.reshape(-1, D)):
        scores = x @ params.router
        chosen = np.argsort(-scores)[:k]
        weights = softmax(scores[chosen])
        expected = sum(w * one_expert(x, params, e) for w, e in zip(weights, chosen, strict=True))
        assert_allclose(Y.reshape(-1, D)[i], expected, rtol=1e-12, atol=1e-14)
        assert_allclose(cache.P[i, chosen], weights, rtol=1e-13)
    assert_array_equal((cache.P > 0).sum(axis=-1), k)


def test_balance_by_hand():
    # the router is the token; three of four go to expert 0
    params = ExpertsParams(np.eye(2), np.ones((2, 2, 3)), np.ones((2, 2, 3)), np.ones((2, 3, 2)))
    X = np.log(np.array([[3.0, 1.0], [3.0, 1.0], [3.0, 1.0], [1.0, 3.0]]))
    (_, balance), cache = mixture_of_experts(X, params, 1)
    assert_allclose(cache.shares, [0.75, 0.25])
    assert_allclose(balance, 2 * (0.75 * 0.625 + 0.25 * 0.375))


def test_balance_is_1_where_all_are_used_alike_and_the_number_of_experts_where_one_is():
    params = init_experts(E, F, E, np.random.default_rng(0))._replace(router=50.0 * np.eye(E))
    assert_allclose(mixture_of_experts(np.eye(E), params, 1)[0][1], 1.0)
    assert_allclose(mixture_of_experts(np.eye(E)[[2, 2, 2]], params, 1)[0][1], E)


# ---- invariants ----


def test_experts_that_served_nobody_have_no_gradient(draw, params):
    X = np.abs(draw(5, D))
    router = params.router.copy()
    router[:, 2] = -10.0  # never chosen
    (Y, _), cache = mixture_of_experts(X, params._replace(router=router), 2)
    _, dparams = mixture_of_experts_backward((draw(*Y.shape), 0.0), cache)
    for name in ("gate", "up", "down"):
        assert not getattr(dparams, name)[2].any()
        assert getattr(dparams, name)[cache.shares > 0].any()
    assert not dparams.router[:, 2].any()


def test_of_equal_scores_the_first_expert_counts(draw, params):
    _, cache = mixture_of_experts(draw(3, D), params._replace(router=np.zeros((D, E))), 2)
    assert_array_equal(cache.P, [[0.5, 0.5, 0, 0]] * 3)
    many = init_experts(D, F, 100, np.random.default_rng(0))
    router = draw(D, 100) > 0
    X = np.eye(D)
    _, cache = mixture_of_experts(X, many._replace(router=router.astype(float)), 2)
    for scores, weights in zip(router, cache.P):
        assert_array_equal(np.flatnonzero(weights), np.flatnonzero(scores)[:2])


def test_a_token_does_not_touch_another(draw, params):
    X = draw(4, D)
    (Y, _), _ = mixture_of_experts(X, params, 2)
    X[2] += 1.0
    changed = mixture_of_experts(X, params, 2)[0][0]
    assert_allclose(changed[[0, 1, 3]], Y[[0, 1, 3]], rtol=1e-12)
    assert np.abs(changed[2] - Y[2]).max() > 1e-3


def test_no_tokens(params):
    (Y, balance), cache = mixture_of_experts(np.zeros((2, 0, D)), params, 2)
    dX, dparams = mixture_of_experts_backward((Y, 1.0), cache)
    assert Y.shape == dX.shape == (2, 0, D) and balance == 0.0 and not cache.shares.any()
    assert not any(dW.any() for dW in dparams)


def test_single_precision_stays(draw, rng):
    params = init_experts(D, F, E, rng, dtype=np.float32)
    Y, cache = mixture_of_experts(draw(3, D).astype(np.float32), params, 2)
    dX, dparams = mixture_of_experts_backward(Y, cache)
    assert {X.dtype for X in (*Y, dX, *dparams)} == {np.dtype(np.float32)}


# ---- gradients and errors ----


@pytest.mark.sampled(4)
@pytest.mark.parametrize("leading", [(), (5,), (2, 3)])
@pytest.mark.parametrize("k", [1, 2, E])
def test_gradients(assert_gradients, draw, params, leading, k):
    pair, X = (mixture_of_experts, mixture_of_experts_backward), draw(*leading, D)
    assert_gradients(*pair, X, params, k)
    report = gradcheck_second_order(*pair, X, params, k)
    assert report.ok, str(report)


def test_arguments_that_do_not_fit(draw, params):
    with pytest.raises(ValueError, match="k must be at most the number of experts, 4, got 5"):
        mixture_of_experts(draw(3, D), params, 5)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        mixture_of_experts(draw(3, D), params, 0)
    with pytest.raises(TypeError, match="k must be an integer, got 1.5"):
        mixture_of_experts(draw(3, D), params, 1.5)
    with pytest.raises(ValueError, match="D is 5 in X, 6 in router"):
        mixture_of_experts(draw(3, 5), params, 1)
    with pytest.raises(ValueError, match="F is 5 in gate, 4 in down"):
        mixture_of_experts(draw(3, D), params._replace(down=params.down[:, :4]), 1)


def test_initial_weights_have_the_variance_of_what_goes_in(rng):
    start = init_experts(400, 100, 3, rng)
    for W, n in zip(start, (400, 400, 400, 100), strict=True):
        assert W.std() == pytest.approx(n**-0.5, rel=0.1) and abs(W.mean()) < 0.2 * n**-0.5
