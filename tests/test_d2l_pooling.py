"""The text's names for pooling by similarity, on the curves of its two editions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_nn import assert_gradients_of

from npattn.d2l import en, zh
from npattn.kernels import pooling

KERNELS = (en.gaussian, en.boxcar, en.constant, en.epanechikov)


def curve(rng, n, power, noise):
    """Sorted training points, and where to predict."""
    x_train = np.sort(rng.random(n) * 5)
    y_train = 2 * np.sin(x_train) + x_train**power + rng.normal(0, noise, n)
    return x_train, y_train, np.arange(0, 5, 0.1)


def all_but_itself(x):
    """Row i: x without its i-th entry."""
    return np.tile(x, (len(x), 1))[~np.eye(len(x), dtype=bool)].reshape(len(x), -1)


# ---- 11.2 ----


def test_kernels():
    x = np.array([-1.5, -1.0, -0.25, 0.0, 0.5])
    values = {kernel.__name__: kernel(x) for kernel in KERNELS}
    assert_allclose(values["gaussian"], np.exp(-(x**2) / 2), rtol=1e-15)
    assert_array_equal(values["boxcar"], [0, 1, 1, 1, 1])  # in the text's code, not at 1
    assert_array_equal(values["constant"], np.ones(5))
    assert_array_equal(values["epanechikov"], [0, 0, 0.75, 1, 0.5])  # the triangular kernel
    assert_array_equal(pooling.epanechnikov(x), [0, 0, 0.9375, 1, 0.75])


@pytest.mark.parametrize("kernel", KERNELS)
def test_nadaraya_watson(rng, kernel):
    x_train, y_train, x_val = curve(rng, 40, 1.0, 1.0)
    y_hat, attention_w = en.nadaraya_watson(x_train, y_train, x_val, kernel)
    assert y_hat.shape == (50,) and attention_w.shape == (40, 50)  # keys, queries
    k = kernel(x_train[:, None] - x_val[None])  # the text's lines
    assert_allclose(attention_w, k / k.sum(0), rtol=1e-12, atol=1e-300)
    assert_allclose(y_hat, y_train @ (k / k.sum(0)), rtol=1e-12)
    assert_allclose(attention_w.sum(axis=0), 1, rtol=1e-14)


def test_the_text_s_own_boxcar_which_returns_booleans(rng):
    points = [X.astype(np.float32) for X in curve(rng, 40, 1.0, 1.0)]
    want, _ = en.nadaraya_watson(*points, en.boxcar)
    got, attention_w = en.nadaraya_watson(*points, lambda x: np.abs(x) < 1.0)
    assert_array_equal(got, want)
    assert {got.dtype, attention_w.dtype} == {np.dtype(np.float32)}


def test_widths(rng):
    x_train, y_train, x_val = curve(rng, 40, 1.0, 1.0)
    for sigma in (0.1, 0.2, 0.5, 1):
        got, _ = en.nadaraya_watson(x_train, y_train, x_val, en.gaussian_with_width(sigma))
        want, _ = en.nadaraya_watson(x_train / sigma, y_train, x_val / sigma, en.gaussian)
        assert_allclose(got, want, rtol=1e-9)


def test_a_query_without_neighbours_gets_zero():
    x_train, y_train = np.array([0.0, 1.0]), np.array([5.0, 7.0])
    y_hat, attention_w = en.nadaraya_watson(
        x_train, y_train, np.array([0.5, 9.0]), en.epanechikov
    )
    assert_array_equal(y_hat, [6, 0])
    assert_array_equal(attention_w, [[0.5, 0], [0.5, 0]])


def test_points_that_do_not_fit():
    x, y = np.ones(4), np.ones(3)
    with pytest.raises(ValueError, match=r"x_train \(4,\) and y_train \(3,\)"):
        en.nadaraya_watson(x, y, x, en.gaussian)
    with pytest.raises(ValueError, match=r"x_val \(4, 1\)"):
        en.nadaraya_watson(x, x, x[:, None], en.gaussian)


# ---- 10.2 ----


def test_kernel_regression_is_the_text_s_formula(draw):
    queries, keys, values = draw(3), draw(3, 4), draw(3, 4)
    net = zh.NWKernelRegression(rng=0)
    assert net.w.shape == (1,) and 0 <= net.w[0] < 1 and net.w is net.params
    E = np.exp(-(((queries[:, None] - keys) * net.w) ** 2) / 2)
    P = E / E.sum(axis=1, keepdims=True)
    assert_allclose(net(queries, keys, values), (P * values).sum(axis=1), rtol=1e-14)
    assert_allclose(net.attention_weights, P, rtol=1e-14)
    assert_gradients_of(net, queries, keys, values)


def test_training_leaves_each_point_out_and_overshoots_as_in_the_text(rng):
    x_train, y_train, x_test = curve(rng, 50, 0.8, 0.5)
    keys, values = all_but_itself(x_train), all_but_itself(y_train)
    assert keys.shape == (50, 49)

    def train(rate, epochs):
        net, losses = zh.NWKernelRegression(rng=0), []
        for _ in range(epochs):
            net.zero_grad()
            error = net(x_train, keys, values) - y_train
            losses.append(np.sum(error**2))
            net.backward(2 * error)
            net.params = net.params - rate * net.grads
        return net, losses

    text, _ = train(0.5, 5)
    mean, losses = train(0.5 / 50, 100)
    assert abs(text.w[0]) > 2 * mean.w[0]
    assert losses == sorted(losses, reverse=True)

    y_hat = mean(x_test, np.tile(x_train, (50, 1)), np.tile(y_train, (50, 1)))
    assert y_hat.shape == (50,) and mean.attention_weights.shape == (50, 50)
    want, attention_w = en.nadaraya_watson(
        x_train, y_train, x_test, en.gaussian_with_width(1 / mean.w[0])
    )
    assert_allclose(y_hat, want, rtol=1e-9)
    assert_allclose(mean.attention_weights, attention_w.T, rtol=1e-9, atol=1e-15)


def test_kernel_regression_in_single_precision_and_with_what_does_not_fit():
    net, queries, keys = zh.NWKernelRegression(dtype=np.float32), np.ones(3), np.ones((3, 4))
    single = net(*(X.astype(np.float32) for X in (queries, keys, keys)))
    assert single.dtype == np.float32
    with pytest.raises(TypeError, match="float32"):
        net(queries, keys, keys)
    for wrong in ((queries[:2], keys, keys), (queries, keys, keys[:, :3]), (keys, keys, keys)):
        with pytest.raises(ValueError, match=r"keys \(3, 4\) and values"):
            net(*wrong)
