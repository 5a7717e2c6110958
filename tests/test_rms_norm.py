"""Root mean square normalization, and queries and keys normalized by it."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.checking import gradcheck_second_order
from npattn.kernels.qk_norm import (
    QKNormParams,
    init_qk_norm,
    qk_norm,
    qk_norm_backward,
)
from npattn.kernels.rms_norm import init_rms_norm, rms_norm, rms_norm_backward
from npattn.models.normalize import init_normalize, normalize

# ---- values ----


def test_by_hand():
    # mean square (1 + 49) / 2 = 25, so r = 1/5
    Y, cache = rms_norm(np.array([1.0, 7.0]), np.array([1.0, 2.0]), eps=0.0)
    assert_allclose(Y, [0.2, 2.8], rtol=1e-15)
    # dX̂ = (5, 0); mean(dX̂ X̂) = 0.5; dX = ((5, 0) − (0.2, 1.4) · 0.5) / 5
    dX, dgain = rms_norm_backward(np.array([5.0, 0.0]), cache)
    assert_allclose(dX, [0.98, -0.14], rtol=1e-15)
    assert_allclose(dgain, [1.0, 0.0], rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_at_the_start_the_layer_only_normalizes(dtype):
    gain = init_rms_norm(3, dtype=dtype)
    assert gain.dtype == dtype
    assert_array_equal(gain, [1, 1, 1])
    assert {X.dtype for X in init_qk_norm(3, dtype=dtype)} == {np.dtype(dtype)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gain_may_be_1_and_a_parameter_that_starts_at_0(draw, dtype):
    start = init_normalize(3, normalization="rms_norm_1", dtype=dtype)
    assert start.dtype == dtype and start.tolist() == [0, 0, 0]
    assert init_normalize(3, normalization="rms_norm", dtype=dtype).tolist() == [1, 1, 1]
    X, params = draw(4, 3).astype(dtype), draw(3).astype(dtype)
    Y, _ = normalize(X, params, normalization="rms_norm_1", eps=0.1)
    assert_array_equal(Y, rms_norm(X, 1.0 + params, eps=0.1)[0])


# ---- invariants ----


def test_the_scale_of_a_row_does_not_matter_and_its_shift_does(draw):
    X, gain = draw(2, 3, 5), draw(5)
    Y, _ = rms_norm(X, gain, eps=0.0)
    assert_allclose(rms_norm(X * 100.0, gain, eps=0.0)[0], Y, rtol=1e-13)
    assert np.abs(rms_norm(X + 1.0, gain, eps=0.0)[0] - Y).max() > 0.1


def test_rows_have_the_length_of_the_root_of_their_width(draw):
    Y, _ = rms_norm(draw(4, 7), init_rms_norm(7), eps=0.0)
    assert_allclose(np.linalg.norm(Y, axis=-1), math.sqrt(7), rtol=1e-14)


def test_the_gradient_of_a_row_is_orthogonal_to_it(draw):
    X = draw(2, 3, 5)
    _, cache = rms_norm(X, draw(5), eps=0.0)
    dX, _ = rms_norm_backward(draw(2, 3, 5), cache)
    assert_allclose((dX * X).sum(axis=-1), 0.0, atol=1e-13)


def test_a_row_of_zeros_stays_one_and_has_a_finite_gradient(draw):
    Y, cache = rms_norm(np.zeros((2, 5)), draw(5))
    assert_array_equal(Y, np.zeros((2, 5)))
    assert np.isfinite(rms_norm_backward(draw(2, 5), cache)[0]).all()


def test_each_row_is_normalized_by_itself(draw):
    X, gain = draw(2, 3, 5), draw(5)
    broken = X.copy()
    broken[1] = np.nan
    assert_array_equal(rms_norm(broken, gain)[0][0], rms_norm(X, gain)[0][0])


def test_a_gain_that_is_stored_less_one(draw):
    X, stored, dY = draw(3, 5), draw(5), draw(3, 5)
    Y, cache = rms_norm(X, 1.0 + stored)
    assert_allclose(Y, rms_norm(X, init_rms_norm(5))[0] * (1.0 + stored), rtol=1e-14)
    assert_allclose(rms_norm_backward(dY, cache)[1], (dY * cache.Xhat).sum(axis=0), rtol=1e-13)


@pytest.mark.parametrize("leading", [(0,), (2, 0)])
def test_no_rows(draw, leading):
    Y, cache = rms_norm(np.zeros((*leading, 5)), draw(5))
    dX, dgain = rms_norm_backward(Y, cache)
    assert Y.shape == dX.shape == (*leading, 5)
    assert_array_equal(dgain, np.zeros(5))


def test_convention(convention, draw):
    convention(rms_norm, rms_norm_backward, draw(2, 3, 5), draw(5), eps=np.float64(1e-3))


# ---- gradients ----


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
@pytest.mark.parametrize("eps", [1e-6, 0.5])
def test_gradients(assert_gradients, draw, leading, eps):
    X, gain = draw(*leading, 5), draw(5)
    assert_gradients(rms_norm, rms_norm_backward, X, gain, eps=eps)
    report = gradcheck_second_order(rms_norm, rms_norm_backward, X, gain, eps=eps)
    assert report.ok, str(report)


# ---- errors ----


@pytest.mark.parametrize("X, gain", [((2, 4), (5,)), ((2, 5), (1, 5)), ((), (5,))])
def test_widths_that_disagree(X, gain):
    with pytest.raises(ValueError) as error:
        rms_norm(np.zeros(X), np.zeros(gain))
    assert f"got X {X}, gain {gain}; wanted X (..., D), gain (D,)" in str(error.value)


def test_other_arguments():
    with pytest.raises(TypeError, match="^gain must be float32 or float64, got int64"):
        rms_norm(np.zeros((2, 5)), np.ones(5, int))
    with pytest.raises(ValueError, match="eps must be 0 or more, such as 1e-6, got -1.0"):
        rms_norm(np.zeros((2, 5)), np.ones(5), eps=-1.0)


# ---- queries and keys ----


@pytest.fixture
def normed(draw):
    """Queries, keys and gains, every axis of another length."""
    return draw(2, 3, 4, 6), draw(2, 3, 5, 6), QKNormParams(draw(6), draw(6))


def test_no_score_exceeds_the_width(draw):
    (Q, K), _ = qk_norm(1e3 * draw(4, 6), draw(5, 6), init_qk_norm(6))
    scores = Q @ K.T
    assert np.abs(scores).max() < 6.0
    same, _ = qk_norm(K, K, init_qk_norm(6), eps=0.0)
    assert_allclose(np.diag(same[0] @ same[1].T), 6.0, rtol=1e-12)


def test_queries_and_keys_have_gains_of_their_own(normed):
    Q, K, params = normed
    (Qhat, Khat), _ = qk_norm(Q, K, params)
    assert_array_equal(Qhat, rms_norm(Q, params.query)[0])
    assert_array_equal(Khat, rms_norm(K, params.key)[0])


def test_gradients_of_queries_and_keys(assert_gradients, normed):
    assert_gradients(qk_norm, qk_norm_backward, *normed)
    report = gradcheck_second_order(qk_norm, qk_norm_backward, *normed)
    assert report.ok, str(report)


def test_gains_of_another_width(normed):
    Q, K, params = normed
    with pytest.raises(ValueError, match="D is 6 in K, 5 in params.key"):
        qk_norm(Q, K, params._replace(key=np.ones(5)))
