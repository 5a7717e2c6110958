"""Learned absolute positions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.embedding import embedding, embedding_backward
from npattn.kernels.positions import learned_positions, learned_positions_backward

# ---- values ----


def test_by_hand():
    X, E = np.zeros((2, 2, 2)), np.arange(8.0).reshape(4, 2)
    Y, cache = learned_positions(X, E, offset=1)
    assert_array_equal(Y, [[[2, 3], [4, 5]]] * 2)
    dY = np.array([[[1.0, 2.0], [3.0, 4.0]], [[10.0, 20.0], [30.0, 40.0]]])
    dX, dE = learned_positions_backward(dY, cache)
    assert_array_equal(dX, dY)
    assert_array_equal(dE, [[0, 0], [11, 22], [33, 44], [0, 0]])


# ---- invariants ----


def test_they_are_the_embedding_of_the_positions(draw):
    X, E, dY = draw(2, 3, 5), draw(7, 5), draw(2, 3, 5)
    rows, embedded = embedding(np.tile(np.arange(2, 5), (2, 1)), E)
    Y, cache = learned_positions(X, E, offset=2)
    assert_array_equal(Y, X + rows)
    assert_allclose(
        learned_positions_backward(dY, cache)[1], embedding_backward(dY, embedded), rtol=1e-15
    )


def test_convention(convention, draw):
    convention(learned_positions, learned_positions_backward, draw(2, 3, 5), draw(7, 5), offset=2)


# ---- gradients ----


@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
@pytest.mark.parametrize("offset", [0, 2])
def test_gradients(assert_gradients, draw, leading, offset):
    args = draw(*leading, 4, 5), draw(6, 5)
    assert_gradients(learned_positions, learned_positions_backward, *args, offset=offset)


# ---- errors ----


@pytest.mark.parametrize("X, E", [
    ((3, 4), (6, 5)), ((5,), (6, 5)), ((3, 5), (5,)), ((3, 5), (1, 6, 5)),
])
def test_shapes_that_disagree(X, E):
    with pytest.raises(ValueError) as error:
        learned_positions(np.zeros(X), np.zeros(E))
    assert f"got X {X}, E {E}; wanted X (..., T, D), E (longest, D)" in str(error.value)


@pytest.mark.parametrize("offset, last", [(4, 6), (-1, 1), (7, 9)])
def test_positions_beyond_the_table(offset, last):
    with pytest.raises(ValueError) as error:
        learned_positions(np.zeros((3, 5)), np.zeros((6, 5)), offset=offset)
    assert f"positions {offset} … {last} are not in E (6, 5)" in str(error.value)


def test_other_dtypes():
    with pytest.raises(TypeError, match="^E must be float32 or float64, got int64"):
        learned_positions(np.zeros((3, 5)), np.zeros((6, 5), int))
