"""The embedding."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.embedding import embedding, embedding_backward

# ---- values ----


def test_by_hand():
    E = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    Y, cache = embedding(np.array([2, 0, 2]), E)
    assert_array_equal(Y, [[5, 6], [1, 2], [5, 6]])
    dE = embedding_backward(np.array([[1.0, 0.0], [10.0, 20.0], [0.0, 7.0]]), cache)
    assert_array_equal(dE, [[10, 20], [0, 0], [1, 7]])


# ---- invariants ----


@pytest.mark.parametrize("shape", [(), (4,), (2, 4), (2, 3, 4)])
def test_it_is_a_linear_layer_on_one_hot_rows(draw, rng, shape):
    ids, E, dY = rng.integers(0, 7, shape), draw(7, 5), draw(*shape, 5)
    onehot = np.eye(7)[ids]
    Y, cache = embedding(np.asarray(ids), E)
    assert_array_equal(Y, onehot @ E)
    expected = onehot.reshape(-1, 7).T @ dY.reshape(-1, 5)
    assert_allclose(embedding_backward(dY, cache), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_any_integers(draw, dtype):
    E = draw(7, 5)
    Y, cache = embedding(np.array([6, 1, 6], dtype), E)
    assert_array_equal(Y, E[[6, 1, 6]])
    assert_allclose(embedding_backward(Y, cache)[6], 2 * E[6])


def test_no_tokens(draw):
    Y, cache = embedding(np.zeros((2, 0), int), draw(7, 5))
    assert Y.shape == (2, 0, 5)
    assert_array_equal(embedding_backward(Y, cache), np.zeros((7, 5)))


def test_the_output_is_no_view_of_the_table(draw):
    E = draw(7, 5)
    assert not np.shares_memory(embedding(np.arange(3), E)[0], E)


def test_convention(convention, draw, rng):
    convention(embedding, embedding_backward, rng.integers(0, 5, (2, 9)), draw(7, 4))


# ---- gradients ----


@pytest.mark.parametrize("shape", [(), (4,), (2, 9)])
def test_gradients(assert_gradients, draw, rng, shape):
    ids = np.asarray(rng.integers(0, 6, shape))  # id 6 never occurs
    assert_gradients(embedding, embedding_backward, ids, draw(7, 5))


# ---- errors ----


@pytest.mark.parametrize("ids, came", [(np.zeros(2), "float64"), (np.ones(2, bool), "bool"),
                                       ([0, 1], "list")])
def test_ids_must_be_integers(ids, came):
    with pytest.raises(TypeError, match=f"ids must be an integer array, got {came}"):
        embedding(ids, np.zeros((7, 5)))


@pytest.mark.parametrize("ids, came", [([0, 7], "0 … 7"), ([-1, 3], "-1 … 3")])
def test_ids_must_name_a_row(ids, came):
    with pytest.raises(ValueError, match=f"ids must lie in 0 … 6, the rows of E; got {came}"):
        embedding(np.array(ids), np.zeros((7, 5)))


def test_tables_that_do_not_fit():
    with pytest.raises(ValueError, match=r"^E has 1 axis, and needs 2: .*E \(vocabulary, D\)"):
        embedding(np.arange(3), np.zeros(7))
    with pytest.raises(TypeError, match="E must be float32 or float64, got int64"):
        embedding(np.arange(3), np.zeros((7, 5), np.int64))


@pytest.mark.parametrize("shape", [(3, 5), (6, 5), (2, 3, 4), (3, 2, 5), (2, 3)])
def test_upstream_gradients_that_do_not_fit(shape):
    _, cache = embedding(np.zeros((2, 3), int), np.zeros((7, 5)))
    with pytest.raises(ValueError) as error:
        embedding_backward(np.zeros(shape), cache)
    assert f"got dY {shape}, ids (2, 3)" in str(error.value)
    assert str(error.value).endswith("; dY must have the shape (2, 3, 5)")


def test_the_row_of_the_padding_does_not_learn(draw):
    _, cache = embedding(np.array([1, 2, 1]), draw(4, 5), padding=1)
    dE = embedding_backward(np.ones((3, 5)), cache)
    assert_array_equal(dE, np.array([[0.0], [0.0], [1.0], [0.0]]) * np.ones(5))
