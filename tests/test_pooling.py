"""Nadaraya–Watson pooling."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.pooling import (
    KERNELS,
    boxcar,
    constant,
    epanechnikov,
    gaussian,
    gaussian_pooling,
    gaussian_pooling_backward,
    leave_one_out_mask,
    nadaraya_watson,
    triangular,
)


@pytest.fixture
def QKV(draw):
    """Batch 2, Tq 4, Tk 5, D 3, Dv 6."""
    return draw(2, 4, 3), draw(2, 5, 3), draw(2, 5, 6)


# ---- values ----


def test_kernels_by_hand():
    u = np.array([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5])
    assert_allclose(gaussian(u), np.exp([-2, -0.5, -0.125, 0, -0.125, -0.5, -1.125]), rtol=1e-14)
    assert_array_equal(boxcar(u), [0, 1, 1, 1, 1, 1, 0])
    assert_array_equal(constant(u), np.ones(7))
    assert_array_equal(triangular(u), [0, 0, 0.5, 1, 0.5, 0, 0])
    assert_array_equal(epanechnikov(u), [0, 0, 0.75, 1, 0.75, 0, 0])


def test_weights_by_hand():
    # one query at 0, keys at distances 0, 1/2, 1, 2
    Q, K = np.zeros((1, 1)), np.array([[0.0], [0.5], [-1.0], [2.0]])
    V = np.array([[4.0], [8.0], [12.0], [400.0]])
    shares = {
        "boxcar": [1, 1, 1, 0], "constant": [1, 1, 1, 1], "triangular": [2, 1, 0, 0],
        "epanechnikov": [4, 3, 0, 0], "gaussian": np.exp([0, -0.125, -0.5, -2]),
    }
    for name, share in shares.items():
        O, P = nadaraya_watson(Q, K, V, KERNELS[name])
        assert_allclose(P, [share / np.sum(share)], rtol=1e-14)
        assert_allclose(O, P @ V, rtol=1e-14)
    assert shares.keys() == KERNELS.keys()


def test_the_trained_width_by_hand():
    # S = −w² k² / 2 = (0, ln 3) for k = (√(2 ln 3), 0) and w = 1, so P = (1/4, 3/4)
    Q, K = np.zeros((1, 1)), np.array([[np.sqrt(2 * np.log(3.0))], [0.0]])
    O, cache = gaussian_pooling(Q, K, np.array([[4.0], [8.0]]), np.ones(1))
    assert_allclose(O, [[7]], rtol=1e-14)
    # dS = (−3/4, 3/4) and ∂S/∂w = −w k² = (−2 ln 3, 0)
    *_, dw = gaussian_pooling_backward(np.ones((1, 1)), cache)
    assert_allclose(dw, [1.5 * np.log(3.0)], rtol=1e-14)


# ---- invariants ----


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_rows_sum_to_one_or_to_zero(QKV, draw_mask, kernel):
    Q, K, V = QKV
    Q[0, 1], mask = 100.0, draw_mask(4, 5)  # far from all keys
    O, P = nadaraya_watson(Q, K, V, kernel, mask)
    sums = P.sum(axis=-1)
    dead = sums == 0.0
    assert_allclose(sums[~dead], 1.0, rtol=1e-14)
    assert dead[:, 0].all() and dead[0, 1] == (kernel is not constant)
    assert not O[dead].any() and not P[:, ~mask].any()


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_kernels_are_even_and_keep_single_precision(kernel, draw):
    u = draw(50)
    assert_array_equal(kernel(-u), kernel(u))
    assert kernel(np.zeros(1, np.float32)) == 1.0
    single = (X.astype(np.float32) for X in (draw(4, 1), draw(5, 1), draw(5, 1)))
    assert {X.dtype for X in nadaraya_watson(*single, kernel)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("masked", [False, True])
def test_width_one_is_the_gaussian_kernel(QKV, draw_mask, masked):
    mask = draw_mask(2, 4, 5) if masked else None
    O, P = nadaraya_watson(*QKV, gaussian, mask)
    for w in (np.ones(1), np.ones(3)):
        found, cache = gaussian_pooling(*QKV, w, mask)
        assert_allclose(cache.P, P, rtol=1e-13, atol=1e-16)
        assert_allclose(found, O, rtol=1e-12, atol=1e-14)


def test_a_softmax_finds_the_nearest_where_the_quotient_underflows():
    Q, K, V = np.array([[200.0]]), np.array([[0.0], [1.0]]), np.array([[5.0], [7.0]])
    assert_array_equal(nadaraya_watson(Q, K, V)[0], [[0]])
    assert_array_equal(gaussian_pooling(Q, K, V, np.ones(1))[0], [[7]])


def test_leave_one_out(draw):
    assert_array_equal(leave_one_out_mask(3), [[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    X, V, w = draw(5, 1), draw(5, 1), np.ones(1)
    O, _ = gaussian_pooling(X, X, V, w, leave_one_out_mask(5))
    for i in range(5):
        others = np.arange(5) != i
        assert_allclose(O[i : i + 1], gaussian_pooling(X[i : i + 1], X[others], V[others], w)[0])
    # its own value moves a prediction only where it may be looked at
    V[2] += 1.0
    assert gaussian_pooling(X, X, V, w, leave_one_out_mask(5))[0][2] == O[2]


def test_a_narrow_kernel_learns_by_heart_and_a_wide_one_the_mean(draw):
    X, V = np.arange(5.0)[:, None], draw(5, 1)
    assert_allclose(gaussian_pooling(X, X, V, np.array([50.0]))[0], V, rtol=1e-14)
    assert_allclose(gaussian_pooling(X, X, V, np.array([0.0]))[0], np.full((5, 1), V.mean()))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_masked_key_cannot_leak(QKV, draw, bad):
    (Q, K, V), w, dO = QKV, draw(3), draw(2, 4, 6)
    mask = np.ones((4, 5), bool)
    mask[:, 2] = mask[1] = False
    dirty_K, dirty_V = K.copy(), V.copy()
    dirty_K[:, 2], dirty_V[:, 2] = bad, bad
    O, cache = gaussian_pooling(Q, K, V, w, mask)
    found, dirty = gaussian_pooling(Q, dirty_K, dirty_V, w, mask)
    assert_array_equal(found, O)
    for d, want in zip(gaussian_pooling_backward(dO, dirty), gaussian_pooling_backward(dO, cache),
                       strict=True):
        assert_array_equal(d, want)
    for kernel in KERNELS.values():
        expected = nadaraya_watson(Q, K, V, kernel, mask)
        found = nadaraya_watson(Q, dirty_K, dirty_V, kernel, mask)
        for X, want in zip(found, expected, strict=True):
            assert_array_equal(X, want)


@pytest.mark.parametrize("widths", [1, 3])
def test_convention(convention, QKV, draw, draw_mask, widths):
    convention(gaussian_pooling, gaussian_pooling_backward, *QKV, draw(widths), draw_mask(2, 4, 5))


# ---- gradients ----


@pytest.mark.parametrize("widths", [1, 3])
def test_gradients(assert_gradients, QKV, draw, draw_mask, widths):
    args = *QKV, 0.7 * draw(widths), draw_mask(2, 4, 5)
    assert_gradients(gaussian_pooling, gaussian_pooling_backward, *args)


def test_gradients_of_a_curve_left_one_out(assert_gradients, draw):
    args = draw(6, 1), draw(6, 1), draw(6, 1), draw(1), leave_one_out_mask(6)
    assert_gradients(gaussian_pooling, gaussian_pooling_backward, *args)


# ---- errors ----


@pytest.mark.parametrize("shape", [(2,), (4,)])
def test_widths_that_do_not_fit(QKV, shape):
    with pytest.raises(ValueError) as error:
        gaussian_pooling(*QKV, np.ones(shape))
    assert f"w {shape} does not fit Q (2, 4, 3)" in str(error.value)


def test_shapes_and_dtypes_that_disagree(QKV):
    Q, K, V = QKV
    for pool in (nadaraya_watson, lambda *QKV: gaussian_pooling(*QKV, np.ones(1))):
        with pytest.raises(ValueError, match="Tk is 5 in K, 4 in V"):
            pool(Q, K, V[:, :4])
        with pytest.raises(ValueError, match="D is 3 in Q, 2 in K"):
            pool(Q, K[..., :2], V)
        with pytest.raises(TypeError, match="^V must be float32 or float64, got int64"):
            pool(Q, K, V.astype(int))
    with pytest.raises(ValueError, match=r"mask \(5, 4\)"):
        nadaraya_watson(Q, K, V, boxcar, np.ones((5, 4), bool))
