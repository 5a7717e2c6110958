"""The backward of broadcasting."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.sums import unbroadcast

# ---- values ----


def test_by_hand():
    dY = np.arange(6.0).reshape(2, 3)
    assert_array_equal(unbroadcast(dY, np.zeros((2, 3))), dY)
    assert_array_equal(unbroadcast(dY, np.zeros((2, 1))), [[3], [12]])
    assert_array_equal(unbroadcast(dY, np.zeros((1, 3))), [[3, 5, 7]])
    assert_array_equal(unbroadcast(dY, np.zeros((3,))), [3, 5, 7])
    assert_array_equal(unbroadcast(dY, np.zeros(())), 15)


# ---- invariants ----


@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 1), (1, 5), (1, 3, 1), (2, 1, 5), (2, 3, 5)])
def test_it_is_the_adjoint_of_broadcasting(draw, shape):
    X, dY = draw(*shape), draw(2, 3, 5)
    dX = unbroadcast(dY, np.zeros(shape))
    assert dX.shape == shape
    assert_allclose((dY * np.broadcast_to(X, dY.shape)).sum(), (dX * X).sum(), rtol=1e-12)


def test_no_entries_and_single_precision():
    assert_array_equal(unbroadcast(np.zeros((0, 3)), np.zeros((1, 3))), np.zeros((1, 3)))
    assert unbroadcast(np.ones((2, 3), np.float32), np.zeros((3,))).dtype == np.float32


# ---- errors ----


@pytest.mark.parametrize("shape", [(2,), (3, 3), (1, 2, 3), (0,)])
def test_shapes_that_do_not_broadcast(shape):
    with pytest.raises(ValueError) as error:
        unbroadcast(np.zeros((2, 3)), np.zeros(shape))
    assert f"X {shape} does not broadcast to dY (2, 3)" in str(error.value)
