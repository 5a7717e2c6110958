"""Inverted dropout."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.dropout import DropoutCache, draw_keep, dropout, dropout_backward

# ---- values ----


def test_what_survives_is_scaled_up():
    X = np.arange(1.0, 1001.0)
    Y, cache = dropout(X, 0.75, np.random.default_rng(0))
    assert set(cache.keep) == {0.0, 4.0}
    assert_array_equal(Y, X * cache.keep)
    assert_array_equal(np.unique(Y / X), [0, 4])


def test_the_backward_drops_the_same_entries():
    cache = DropoutCache(np.array([0.0, 2.0, 2.0, 0.0]), (4,))
    assert_array_equal(dropout_backward(np.array([1.0, 2.0, 3.0, 4.0]), cache), [0, 4, 6, 0])


@pytest.mark.parametrize("rate, seed", [(0.5, None), (0.0, 3)])
def test_nothing_dropped(draw, rate, seed):
    X, dY = draw(3, 4), draw(3, 4)
    Y, cache = dropout(X, rate, None if seed is None else np.random.default_rng(seed))
    assert cache.keep is None
    assert_array_equal(Y, X)
    assert_array_equal(dropout_backward(dY, cache), dY)


def test_a_number_that_equals_the_rate_is_kept():
    class Constant(np.random.Generator):
        def random(self, shape, dtype):
            return np.full(shape, 0.5, dtype)

    assert_array_equal(draw_keep(np.ones(3), 0.5, Constant(np.random.PCG64())), [2, 2, 2])


# ---- invariants ----


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.5, 0.9])
def test_the_share_and_the_mean_are_right(rng, rate):
    keep = draw_keep(np.ones((400, 500)), rate, rng)
    error = np.sqrt(rate * (1 - rate) / keep.size)  # of a share of so many draws
    assert abs((keep == 0.0).mean() - rate) < 5 * error
    assert abs(keep.mean() - 1.0) < 5 * error / (1 - rate)


def test_the_generator_alone_decides(draw):
    X = draw(5, 6)
    a, b, other = (dropout(X, 0.5, np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    assert_array_equal(a, b)
    assert (a != other).any()


def test_two_calls_draw_anew(draw, rng):
    X = draw(5, 6)
    assert (dropout(X, 0.5, rng)[0] != dropout(X, 0.5, rng)[0]).any()


def test_both_precisions_drop_the_same_entries(draw):
    X = draw(5, 6)
    keep64 = draw_keep(X, 0.3, np.random.default_rng(0))
    keep32 = draw_keep(X.astype(np.float32), 0.3, np.random.default_rng(0))
    assert (keep64.dtype, keep32.dtype) == (np.float64, np.float32)
    assert_allclose(keep32, keep64, rtol=1e-6)


@pytest.mark.parametrize("rate", [0.0, 0.4, np.float64(0.4)], ids=repr)
def test_convention(convention, draw, rate):
    convention(dropout, dropout_backward, draw(3, 4), rate, np.random.default_rng(5))


# ---- gradients ----


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_gradients(assert_gradients, draw, rng, rate):
    assert_gradients(dropout, dropout_backward, draw(2, 3, 4), rate, rng)
    assert_gradients(dropout, dropout_backward, draw(2, 3, 4), rate)


# ---- errors ----


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_rates_outside_the_range(rng, rate):
    with pytest.raises(ValueError, match=rf"rate must lie in \[0, 1\), got {rate}"):
        dropout(np.zeros(3), rate, rng)
    with pytest.raises(ValueError, match="rate must lie"):
        dropout(np.zeros(3), rate)  # even where nothing would be dropped


@pytest.mark.parametrize("rng, came", [(0, "int"), (np.random.RandomState(0), "RandomState"),
                                       (np.random, "module")])
def test_other_sources_of_randomness(rng, came):
    with pytest.raises(TypeError, match=f"rng must be a numpy.random.Generator, got {came}"):
        dropout(np.zeros(3), 0.5, rng)


def test_other_dtypes():
    with pytest.raises(TypeError, match="^X must be float32 or float64, got int64"):
        dropout(np.zeros(3, np.int64), 0.5)
