"""Sinusoidal positions."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.positions import sinusoidal_positions

# ---- values ----


def test_by_hand():
    P = sinusoidal_positions(3, 4)
    assert_array_equal(P[0], [0, 1, 0, 1])
    for t in (1, 2):
        angles = t, t / 100  # 10000^(2/4) = 100
        assert_allclose(P[t, 0::2], [math.sin(angle) for angle in angles], rtol=1e-15)
        assert_allclose(P[t, 1::2], [math.cos(angle) for angle in angles], rtol=1e-15)


@pytest.mark.parametrize("D", [1, 3, 7, 32])
@pytest.mark.parametrize("paired", [True, False])
def test_column_by_column(D, paired):
    P = sinusoidal_positions(60, D, paired=paired)
    for j in range(D):
        wave = math.sin if j % 2 == 0 else math.cos
        speed = 10000.0 ** -((j - j % 2 if paired else j) / D)
        assert_allclose(P[:, j], [wave(t * speed) for t in range(60)], rtol=0, atol=1e-13)


def test_unpaired_columns_have_a_frequency_each():
    P = sinusoidal_positions(60, 9, paired=False)
    for j in range(9):
        wave = math.sin if j % 2 == 0 else math.cos
        assert_allclose(P[:, j], [wave(t * 10000.0 ** -(j / 9)) for t in range(60)], atol=1e-13)
    assert_array_equal(P[:, 0::2], sinusoidal_positions(60, 9)[:, 0::2])  # the sines agree
    assert (P[1:, 1::2] != sinusoidal_positions(60, 9)[1:, 1::2]).all()


# ---- invariants ----


@pytest.mark.parametrize("offset", [0, 1, 7])
@pytest.mark.parametrize("paired", [True, False])
def test_an_offset_takes_later_rows(offset, paired):
    found = sinusoidal_positions(3, 7, offset=offset, paired=paired)
    assert_array_equal(found, sinusoidal_positions(10, 7, paired=paired)[offset : offset + 3])


def test_moving_on_rotates_every_pair_by_one_angle():
    P, k = sinusoidal_positions(20, 8), 5
    now, later = P[:-k].reshape(-1, 4, 2), P[k:].reshape(-1, 4, 2)
    cosines = (now * later).sum(axis=-1)  # pairs have length 1
    assert_allclose(cosines, np.broadcast_to(np.cos(k / 10.0 ** np.arange(4)), (15, 4)), rtol=1e-12)


def test_unpaired_columns_do_not_rotate():
    lengths = [
        (sinusoidal_positions(20, 8, paired=paired) ** 2).sum(axis=1) for paired in (True, False)
    ]
    assert_allclose(lengths[0], 4.0, rtol=1e-14)
    assert np.ptp(lengths[1]) > 0.1


def test_entries_are_bounded_and_positions_distinct():
    P = sinusoidal_positions(1000, 6)
    assert np.abs(P).max() <= 1.0
    distances = ((P[:, None, :2] - P[None, :, :2]) ** 2).sum(axis=-1)
    assert distances[~np.eye(1000, dtype=bool)].min() > 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_table_is_rounded_last(dtype):
    P = sinusoidal_positions(500, 6, dtype=dtype)
    assert P.dtype == dtype
    assert_array_equal(P, sinusoidal_positions(500, 6).astype(dtype))


def test_no_positions():
    assert sinusoidal_positions(0, 6, offset=3).shape == (0, 6)


# ---- errors ----


@pytest.mark.parametrize("T, D, offset, error, words", [
    (-1, 4, 0, ValueError, "T must be at least 0, got -1"),
    (3, 0, 0, ValueError, "D must be at least 1, got 0"),
    (3, 4, -2, ValueError, "offset must be at least 0, got -2"),
    (3.5, 4, 0, TypeError, "T must be an integer, got 3.5"),
    (3, 4, math.nan, TypeError, "offset must be an integer, got nan"),
])
def test_sizes_that_make_no_sense(T, D, offset, error, words):
    with pytest.raises(error, match=f"^{words}"):
        sinusoidal_positions(T, D, offset=offset)
