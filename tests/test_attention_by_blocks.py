"""The reading page of attention without the matrix."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.attention_by_blocks import attention_by_blocks, attention_by_blocks_backward


@pytest.mark.parametrize("block", [1, 2, 3, 5, 64])
def test_it_is_attention_to_rounding(draw, draw_mask, block):
    Q, K, V, mask, dO = draw(2, 3, 4, 6), draw(2, 3, 5, 6), draw(2, 3, 5, 7), draw_mask(4, 5), None
    O, cache = attention_by_blocks(30 * Q, K, V, mask, block=block)
    expected, other = attention(30 * Q, K, V, mask)
    assert_allclose(O, expected, rtol=1e-12, atol=1e-14)
    dO = draw(2, 3, 4, 7)
    found = attention_by_blocks_backward(dO, cache)
    for dX, want in zip(found, attention_backward(dO, other), strict=True):
        assert_allclose(dX, want, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("width", [0, 1])
def test_the_scale_of_narrow_queries_is_1(draw, width):
    Q, K, V = draw(4, width), draw(5, width), draw(5, 7)
    O, _ = attention_by_blocks(Q, K, V)
    assert_allclose(O, attention(Q, K, V, scale=1.0)[0], rtol=1e-12)
    assert_allclose(O, attention(Q, K, V)[0], rtol=1e-12)


def test_gradients(assert_gradients, draw, draw_mask):
    args = draw(2, 4, 6), draw(1, 5, 6), draw(2, 5, 7), draw_mask(4, 5)
    assert_gradients(attention_by_blocks, attention_by_blocks_backward, *args, block=2)


def test_convention(convention, draw, draw_mask):
    args = draw(2, 4, 6), draw(2, 5, 6), draw(2, 5, 7), draw_mask(4, 5)
    convention(attention_by_blocks, attention_by_blocks_backward, *args, block=2)


@pytest.mark.parametrize("Tq, Tk", [(4, 0), (0, 5)])
def test_no_keys_and_no_queries(Tq, Tk):
    Q, K, V = np.ones((2, Tq, 6)), np.ones((2, Tk, 6)), np.ones((2, Tk, 7))
    O, cache = attention_by_blocks(Q, K, V)
    assert O.shape == (2, Tq, 7) and not O.any()
    for dX, X in zip(attention_by_blocks_backward(O, cache), (Q, K, V), strict=True):
        assert dX.shape == X.shape and not dX.any()


def test_arguments_that_do_not_fit(draw):
    Q, K, V = draw(4, 6), draw(5, 6), draw(5, 7)
    with pytest.raises(ValueError, match="^block must be at least 1, got 0"):
        attention_by_blocks(Q, K, V, block=0)
    with pytest.raises(ValueError, match="^Dk is 6 in Q, 5 in K"):
        attention_by_blocks(Q, K[:, :5], V)


def test_scores_may_be_far_from_0(draw):
    Q, K, V = draw(4, 6), draw(8, 6), draw(8, 7)
    Q[0] = 0.0
    for factor in (1000.0, -1000.0):
        O, cache = attention_by_blocks(factor * Q, K, V, block=3)
        expected, other = attention(factor * Q, K, V)
        assert_allclose(O, expected, rtol=1e-10)
        assert np.isfinite(cache.L).all()
        found = attention_by_blocks_backward(np.ones((4, 7)), cache)
        for dX, want in zip(found, attention_backward(np.ones((4, 7)), other), strict=True):
            assert_allclose(dX, want, rtol=1e-8, atol=1e-9)
