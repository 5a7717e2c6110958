"""From scores to outputs."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.attention import attend, attend_backward
from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.scores import dot_scores, dot_scores_backward

DROPOUT = {"dropout": 0.4, "rng": np.random.default_rng(3)}


# ---- values ----


def test_by_hand():
    # P = (1/4, 3/4)
    S, V = np.array([[0.0, np.log(3.0)]]), np.array([[4.0, 0.0], [8.0, 4.0]])
    O, cache = attend(S, V)
    assert_allclose(O, [[7, 3]], rtol=1e-14)
    # dP = (4, 8), Σ dP P = 7
    dS, dV = attend_backward(np.array([[1.0, 0.0]]), cache)
    assert_allclose(dS, [[-3 / 4, 3 / 4]], rtol=1e-14)
    assert_allclose(dV, [[1 / 4, 0], [3 / 4, 0]], rtol=1e-14)


def test_behind_dot_scores_it_is_attention(draw, draw_mask):
    Q, K, V, mask = draw(2, 3, 5), draw(2, 4, 5), draw(2, 4, 6), draw_mask(2, 3, 4)
    S, scored = dot_scores(Q, K)
    O, attended = attend(S, V, mask)
    expected, cache = attention(Q, K, V, mask)
    assert_array_equal(O, expected)
    assert_array_equal(attended.P, cache.P)
    dO = draw(2, 3, 6)
    dS, dV = attend_backward(dO, attended)
    for d, want in zip((*dot_scores_backward(dS, scored), dV), attention_backward(dO, cache),
                       strict=True):
        assert_allclose(d, want, rtol=1e-13, atol=1e-15)


# ---- invariants ----


def test_a_shift_of_a_row_changes_nothing(draw):
    S, V = draw(2, 3, 4), draw(2, 4, 6)
    assert_allclose(attend(S + draw(2, 3, 1), V)[0], attend(S, V)[0], rtol=1e-12)


def test_rows_are_shares_and_dead_rows_nothing(draw, draw_mask):
    S, V, mask = draw(2, 3, 4), draw(2, 4, 6), draw_mask(2, 3, 4)
    O, cache = attend(S, V, mask)
    assert_allclose(cache.P.sum(axis=-1), mask.any(axis=-1), rtol=1e-14)
    dS, _ = attend_backward(draw(2, 3, 6), cache)
    assert not O[:, 0].any() and not dS[~mask].any()
    assert_allclose(dS.sum(axis=-1), 0.0, atol=1e-14)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_masked_cannot_leak(draw, draw_mask, bad):
    S, V, dO = draw(2, 3, 4), draw(2, 4, 6), draw(2, 3, 6)
    mask = draw_mask(2, 3, 4)
    mask[:, :, 2] = False
    poisoned = V.copy()
    poisoned[:, 2] = bad
    clean, dirty = attend(S, V, mask), attend(np.where(mask, S, bad), poisoned, mask)
    assert_array_equal(dirty[0], clean[0])
    for d, want in zip(attend_backward(dO, dirty[1]), attend_backward(dO, clean[1]), strict=True):
        assert_array_equal(d, want)


@pytest.mark.parametrize("options", [{}, DROPOUT], ids=["plain", "dropout"])
def test_convention(convention, draw, draw_mask, options):
    args = draw(2, 3, 4), draw(2, 4, 6), draw_mask(2, 3, 4)
    convention(attend, attend_backward, *args, **options)


# ---- gradients ----


@pytest.mark.parametrize("options", [{}, DROPOUT], ids=["plain", "dropout"])
@pytest.mark.parametrize("leading", [(), (2, 3)])
def test_gradients(assert_gradients, draw, draw_mask, leading, options):
    args = draw(*leading, 4, 5), draw(*leading, 5, 6), draw_mask(*leading, 4, 5)
    assert_gradients(attend, attend_backward, *args, **options)


# ---- errors ----


@pytest.mark.parametrize("S, V", [
    ((3, 4), (5, 6)), ((2, 3, 4), (3, 4, 6)), ((4,), (4, 6)), ((3, 4), (4,)),
])
def test_shapes_that_disagree(S, V):
    with pytest.raises(ValueError) as error:
        attend(np.zeros(S), np.zeros(V))
    assert f"got S {S}, V {V}; wanted S (..., Tq, Tk), V (..., Tk, Dv)" in str(error.value)


def test_masks_and_dtypes_that_do_not_fit():
    S, V = np.zeros((3, 4)), np.zeros((4, 6))
    with pytest.raises(ValueError, match=r"mask \(3, 5\) .* \(3, 4\)"):
        attend(S, V, np.ones((3, 5), bool))
    with pytest.raises(TypeError, match="mask must be a boolean array"):
        attend(S, V, S)
    with pytest.raises(TypeError, match="^V must be float32 or float64, got int64"):
        attend(S, V.astype(int))
