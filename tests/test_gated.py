"""SiLU and the gated activations."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.checking import gradcheck_second_order
from npattn.kernels import gated
from npattn.kernels.activations import gelu, gelu_tanh
from npattn.kernels.gated import silu, silu_backward, swiglu, swiglu_backward

GATES = {"swiglu": silu, "geglu": gelu, "geglu_tanh": gelu_tanh}
every_gate = pytest.mark.parametrize("name", GATES)


def pair(name):
    return getattr(gated, name), getattr(gated, f"{name}_backward")


# ---- values ----


def test_silu_by_hand():
    # at a = ln 3 the sigmoid is 3/4, and the slope 3/4 (1 + ln 3 / 4)
    a = math.log(3)
    Y, cache = silu(np.array([0.0, a, -a]))
    assert_allclose(Y, [0, 0.75 * a, -0.25 * a], rtol=1e-15)
    dA = silu_backward(np.array([2.0, 1.0, 1.0]), cache)
    assert_allclose(dA, [1.0, 0.75 * (1 + a / 4), 0.25 * (1 - 0.75 * a)], rtol=1e-15)


def test_swiglu_by_hand():
    a = math.log(3)
    Y, cache = swiglu(np.array([a]), np.array([4.0]))
    assert_allclose(Y, [3 * a], rtol=1e-15)
    dA, dU = swiglu_backward(np.array([2.0]), cache)
    assert_allclose([dA[0], dU[0]], [8 * 0.75 * (1 + a / 4), 1.5 * a], rtol=1e-15)


@every_gate
def test_a_gate_is_its_activation_times_the_other_half(draw, name):
    A, U = draw(3, 5), draw(3, 5)
    assert_array_equal(pair(name)[0](A, U)[0], GATES[name](A)[0] * U)


# ---- far from zero ----


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_from_zero_silu_is_a_ramp(dtype):
    A = np.array([-1e4, -100.0, -20.0, 40.0, 1e4], dtype)
    Y, cache = silu(A)
    assert_allclose(Y, [0, 0, -20 * math.exp(-20), 40, 1e4], rtol=1e-6, atol=1e-30)
    dA = silu_backward(np.ones(5, dtype), cache)
    assert_allclose(dA, [0, 0, -19 * math.exp(-20), 1, 1], rtol=1e-6, atol=1e-30)


# ---- convention and gradients ----


def test_convention_of_silu(convention, draw):
    convention(silu, silu_backward, 3 * draw(2, 3, 5))


@every_gate
def test_convention(convention, draw, name):
    convention(*pair(name), draw(2, 3, 5), draw(2, 3, 5))


@pytest.mark.parametrize("shape", [(7,), (2, 3, 5)])
def test_gradients_of_silu(assert_gradients, draw, shape):
    A = 3 * draw(*shape)
    assert_gradients(silu, silu_backward, A)
    report = gradcheck_second_order(silu, silu_backward, A)
    assert report.ok, str(report)


@every_gate
@pytest.mark.parametrize("shape", [(7,), (2, 3, 5)])
def test_gradients(assert_gradients, draw, name, shape):
    A, U = draw(*shape), draw(*shape)
    assert_gradients(*pair(name), A, U)
    report = gradcheck_second_order(*pair(name), A, U)
    assert report.ok, str(report)


# ---- errors ----


@every_gate
def test_halves_of_other_shapes(name):
    with pytest.raises(ValueError, match=r"A \(2, 3\) and U \(3,\) must have one shape"):
        pair(name)[0](np.zeros((2, 3)), np.zeros(3))
    with pytest.raises(TypeError, match="^U must be float32 or float64, got int64"):
        pair(name)[0](np.zeros(3), np.zeros(3, int))
    with pytest.raises(TypeError, match="one precision"):
        pair(name)[0](np.zeros(3), np.zeros(3, np.float32))
