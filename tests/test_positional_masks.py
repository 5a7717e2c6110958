"""Windows, prefixes, documents, and offsets for each sequence."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.masks import causal_mask, combine_masks
from npattn.kernels.positional_masks import document_mask, prefix_mask, window_mask

# ---- values ----


def test_a_window_by_hand():
    assert_array_equal(
        window_mask(3, 5, left=1, right=2),
        [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [0, 1, 1, 1, 1]],
    )
    later = window_mask(2, 5, left=1, right=0, offset=3)
    assert_array_equal(later, [[0, 0, 1, 1, 0], [0, 0, 0, 1, 1]])


def test_a_prefix_by_hand():
    assert_array_equal(prefix_mask(2, 4)[:, :2], np.ones((4, 2)))
    assert_array_equal(prefix_mask(2, 4)[:, 2:], causal_mask(4)[:, 2:])
    assert_array_equal(prefix_mask(np.array([0, 3]), 3), [causal_mask(3), np.ones((3, 3))])


def test_documents_by_hand():
    ids = np.array([[7, 7, 2], [1, -1, 1]])
    assert_array_equal(
        document_mask(ids), [[[1, 1, 0], [1, 1, 0], [0, 0, 1]], [[1, 0, 1], [0, 0, 0], [1, 0, 1]]]
    )
    assert_array_equal(document_mask(np.array([2, 1]), np.array([1, 1, 2])), [[0, 0, 1], [1, 1, 0]])


# ---- invariants ----


def test_a_window_without_sides_allows_all_and_one_without_a_right_is_causal():
    assert window_mask(3, 4).all()
    assert_array_equal(window_mask(3, 4, right=0, offset=1), causal_mask(3, 4, offset=1))
    assert_array_equal(window_mask(4, left=0, right=0), np.eye(4))


@pytest.mark.parametrize("build", [
    lambda offset: causal_mask(3, 6, offset=offset),
    lambda offset: window_mask(3, 6, left=2, right=1, offset=offset),
    lambda offset: prefix_mask(2, 3, 6, offset=offset),
], ids=["causal", "window", "prefix"])
def test_every_sequence_may_have_an_offset_of_its_own(build):
    offsets = np.array([[0, 3, 1], [2, 2, -1]])
    masks = build(offsets)
    assert masks.shape == (2, 3, 3, 6) and masks.dtype == bool
    for index in np.ndindex(2, 3):
        assert_array_equal(masks[index], build(int(offsets[index])))


def test_a_row_that_a_window_empties_is_zero_and_so_are_its_gradients(draw):
    mask = combine_masks(window_mask(3, 3, left=0, right=0), np.array([True, False, True]))
    Q, K, V = draw(3, 4), draw(3, 4), draw(3, 5)
    O, cache = attention(Q, K, V, mask)
    assert_array_equal(O, [V[0], np.zeros(5), V[2]])
    dQ, dK, dV = attention_backward(draw(3, 5), cache)
    assert not dQ[1].any() and not dK[1].any() and not dV[1].any()


def test_documents_packed_into_one_row_do_not_meet(draw):
    X, ids = draw(5, 4), np.array([0, 0, 0, 1, 1])
    O, _ = attention(X, X, X, combine_masks(document_mask(ids), causal_mask(5)))
    first, _ = attention(X[:3], X[:3], X[:3], causal_mask(3))
    second, _ = attention(X[3:], X[3:], X[3:], causal_mask(2))
    np.testing.assert_allclose(O, np.concatenate([first, second]), rtol=1e-13)


def test_no_queries_and_no_keys():
    assert window_mask(0, 3, left=1).shape == (0, 3)
    assert prefix_mask(0, 3, 0).shape == (3, 0)
    assert document_mask(np.zeros((2, 0), int)).shape == (2, 0, 0)


# ---- errors ----


@pytest.mark.parametrize("offset", [0.5, np.array([0.5]), [[0.0], [2.0]], None, "1", True])
def test_offsets_that_are_no_integers(offset):
    for build in (causal_mask, window_mask):
        with pytest.raises(TypeError, match="offset must be an integer or an array of integers"):
            build(3, offset=offset)


def test_other_arguments():
    with pytest.raises(ValueError, match="left must be at least 0, got -1"):
        window_mask(3, left=-1)
    with pytest.raises(TypeError, match="right must be an integer, got 1.5"):
        window_mask(3, right=1.5)
    with pytest.raises(ValueError, match="prefix must be 0 or more, got -2"):
        prefix_mask(np.array([1, -2]), 3)
    with pytest.raises(TypeError, match="prefix must be an integer"):
        prefix_mask(1.0, 3)
    with pytest.raises(TypeError, match="documents must be an integer array, got float64"):
        document_mask(np.zeros(3))
    with pytest.raises(TypeError, match="keys must be an integer array, got float64"):
        document_mask(np.zeros(3, int), np.zeros(3))
    with pytest.raises(ValueError, match=r"documents \(2, 3\) and keys \(3, 3\)"):
        document_mask(np.zeros((2, 3), int), np.zeros((3, 3), int))
