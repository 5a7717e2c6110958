"""Rotary positions."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from npattn.kernels.rotary import rotary, rotary_backward

# ---- values ----


def test_a_quarter_turn_by_hand():
    # with D = 2 the angle is t radians; at t = 0 nothing turns
    Y, cache = rotary(np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 1.0]]))
    sin, cos = math.sin(1), math.cos(1)
    assert_allclose(Y, [[3, 4], [cos, sin], [-math.sin(2), math.cos(2)]], rtol=1e-14)
    dX = rotary_backward(np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 1.0]]), cache)
    assert_allclose(dX[1], [cos, -sin], rtol=1e-14)


def test_pairs_turn_at_their_own_speeds():
    Y, _ = rotary(np.tile([1.0, 0.0], (1, 3)), offset=10)
    speeds = 10000.0 ** (-np.array([0, 2, 4]) / 6)
    assert_allclose(Y[0, 0::2], np.cos(10 * speeds), rtol=1e-14)
    assert_allclose(Y[0, 1::2], np.sin(10 * speeds), rtol=1e-14)


# ---- invariants ----


def test_scores_depend_on_the_distance_only(draw):
    Q, K = draw(2, 4, 6), draw(2, 5, 6)

    def scores(offset):
        return rotary(Q, offset=offset)[0] @ rotary(K, offset=offset)[0].swapaxes(-1, -2)

    assert_allclose(scores(1000), scores(0), rtol=0, atol=1e-11)
    assert np.abs(scores(0) - Q @ K.swapaxes(-1, -2)).max() > 0.1


def test_lengths_stay_and_the_backward_turns_back(draw):
    X = draw(2, 3, 5, 6)
    Y, cache = rotary(X, offset=7)
    assert_allclose(np.linalg.norm(Y, axis=-1), np.linalg.norm(X, axis=-1), rtol=1e-14)
    assert_allclose(rotary_backward(Y, cache), X, rtol=0, atol=1e-14)


def test_offset_continues_a_sequence(draw):
    X = draw(2, 5, 6)
    assert_allclose(rotary(X[:, 3:], offset=3)[0], rotary(X)[0][:, 3:], rtol=0, atol=1e-14)


def test_convention(convention, draw):
    convention(rotary, rotary_backward, draw(2, 3, 6), offset=4)


# ---- gradients ----


@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
def test_gradients(assert_gradients, draw, leading):
    assert_gradients(rotary, rotary_backward, draw(*leading, 5, 6), offset=3)


# ---- errors ----


@pytest.mark.parametrize("shape", [(4, 5), (4, 0), (6,), ()])
def test_shapes_that_do_not_fit(shape):
    with pytest.raises(ValueError) as error:
        rotary(np.zeros(shape))
    assert f"D even, got shape {shape}" in str(error.value)


def test_other_arguments():
    with pytest.raises(ValueError, match="offset=-1"):
        rotary(np.zeros((3, 4)), offset=-1)
    with pytest.raises(TypeError, match="^X must be float32 or float64, got int64"):
        rotary(np.zeros((3, 4), int))
