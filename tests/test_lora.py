"""LoRA: the pair, merging, and a layer that stays."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.linear import LinearParams, init_linear, linear
from npattn.kernels.lora import LoRAParams, init_lora, lora, lora_backward, merge_lora
from npattn.kernels.products import product, transposed_product
from npattn.models.projection import AdaptedParams, FrozenParams, project, project_backward


def test_by_hand():
    params = LoRAParams(np.array([[1.0], [2.0]]), np.array([[3.0, -1.0]]))
    U, cache = lora(np.array([[1.0, 1.0]]), params, scale=0.5)
    assert U.tolist() == [[4.5, -1.5]]  # H = 3
    dX, (dA, dB) = lora_backward(np.array([[2.0, 2.0]]), cache)
    assert dX.tolist() == [[2.0, 4.0]]  # dH = (6 − 2) / 2 = 2
    assert dA.tolist() == [[2.0], [2.0]] and dB.tolist() == [[3.0, 3.0]]


def test_at_the_start_nothing_changes(draw, rng):
    X, params = draw(2, 3, 5), init_lora(5, 7, 2, rng)
    assert (lora(X, params)[0] == 0).all()


def test_merged_and_added_are_the_same_and_merging_can_be_undone(draw, rng):
    layer = init_linear(5, 7, rng)
    X, params = draw(2, 3, 5), LoRAParams(draw(5, 2), draw(2, 7))
    Y, _ = project(X, AdaptedParams(FrozenParams(*layer), params))
    assert_allclose(merge_lora(layer.W, params, scale=3.0),
                    layer.W + lora(np.eye(5), params, scale=3.0)[0], rtol=1e-12)
    W = merge_lora(layer.W, params)
    assert_allclose(Y, linear(X, LinearParams(W, layer.b))[0], rtol=1e-12)
    assert_allclose(merge_lora(W, params, scale=-1.0), layer.W, atol=1e-14)


def test_a_frozen_layer_hands_its_gradient_on_and_keeps_none(draw, rng):
    layer, X, dY = init_linear(5, 7, rng), draw(2, 3, 5), draw(2, 3, 7)
    Y, cache = project(X, FrozenParams(*layer))
    dX, dparams = project_backward(dY, cache)
    there, full = project(X, layer)
    assert_array_equal(Y, there)
    assert_allclose(dX, project_backward(dY, full)[0], rtol=1e-14)
    assert dparams == FrozenParams(None, None)
    assert not any(np.shares_memory(X, field) for field in cache if isinstance(field, np.ndarray))


@pytest.mark.parametrize("rows", [1, 2, 30, 600])
def test_products_are_the_same_in_every_order_of_memory(rows, draw):
    X, W = draw(rows, 5), np.asfortranarray(draw(5, 7))
    assert_allclose(product(X, W), X @ W, rtol=1e-13, atol=1e-13)
    dX = transposed_product(product(X, W), W)
    assert_allclose(dX, X @ W @ W.T, rtol=1e-12, atol=1e-12)
    for across, down in (Y.strides[::-1] for Y in (product(X, W), dX)):
        assert rows == 1 or (across > down) == (rows in (2, 30))
    Z = X + 1j * draw(rows, 5)
    assert_allclose(product(Z, W), Z @ W, rtol=1e-13, atol=1e-13)


def test_widths_that_disagree_are_named(draw, rng):
    with pytest.raises(ValueError, match="Din is 5 in X, 4 in A"):
        lora(draw(3, 5), init_lora(4, 7, 2, rng))
    with pytest.raises(ValueError, match="rank must be at least 1"):
        init_lora(4, 7, 0, rng)


def test_no_rows_have_no_update(rng):
    params = init_lora(4, 3, 2, rng)
    U, cache = lora(np.ones((0, 5, 4)), params)
    dX, dparams = lora_backward(U, cache)
    assert U.shape == (0, 5, 3) and dX.shape == (0, 5, 4)
    assert not dparams.A.any() and not dparams.B.any()


def test_the_first_matrix_is_uniform_and_the_second_0(rng):
    A, B = init_lora(16, 5, 300, rng)
    assert [A.min(), A.max()] == pytest.approx([-0.25, 0.25], rel=0.01)
    assert A.mean() == pytest.approx(0.0, abs=0.01) and not B.any()
