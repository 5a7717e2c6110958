"""Packing texts into rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.attention import attention
from npattn.kernels.packing import pack, packing_of, unpack, unpack_backward


def token_mask(*lengths, T):
    return np.arange(T) < np.array(lengths)[:, None]


@pytest.fixture
def mask():
    return token_mask(2, 6, 2, T=8)


# ---- values ----


def test_the_example_on_the_page(mask):
    texts = np.array([list("ab......"), list("cdefgh.."), list("ij......")])
    packing = packing_of(mask)
    rows = pack(np.where(mask, texts, ""), packing)
    assert ["".join(row) for row in rows] == ["cdefghab", "ij"]
    assert_array_equal(packing.positions, [[0, 1, 2, 3, 4, 5, 0, 1], [0, 1, 0, 0, 0, 0, 0, 0]])
    together = [[1] * 6 + [0] * 2] * 6 + [[0] * 6 + [1] * 2] * 2
    assert_array_equal(packing.mask[0], np.array(together, bool))


@pytest.mark.parametrize("lengths, rows", [
    ((), 0), ((0, 0), 1), ((4, 4), 1), ((5, 5), 2), ((3, 3, 2, 8), 2), ((8, 0, 1), 2),
    ((1,) * 16, 2),
])
def test_so_many_rows_are_needed(lengths, rows):
    assert len(packing_of(token_mask(*lengths, T=8)).positions) == rows


def test_never_more_rows_than_texts(rng):
    for _ in range(50):
        mask = rng.random((7, 9)) < rng.random((7, 1))
        packing = packing_of(mask)
        assert len(packing.positions) <= len(mask)
        assert len(set(zip(*packing.places, strict=True))) == mask.sum()


# ---- invariants ----


@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 3, 5), (2, 0), (0, 5), (2, 3, 0)])
def test_unpack_undoes_pack_and_leaves_0_for_padding(rng, draw, shape):
    mask = rng.random(shape) < 0.6
    packing, X = packing_of(mask), draw(*shape, 3)
    assert_array_equal(unpack(pack(X, packing), packing), np.where(mask[..., None], X, 0.0))


def test_each_is_the_adjoint_of_the_other(mask, draw):
    packing = packing_of(mask)
    X, Y = draw(3, 8, 5), draw(2, 8, 5)
    assert_allclose((unpack(Y, packing) * X).sum(), (Y * pack(X, packing)).sum(), rtol=1e-13)
    assert_array_equal(unpack_backward(X, packing), pack(X, packing))


@pytest.mark.parametrize("kind", ["lengths", "any tokens"])
def test_attention_in_rows_is_attention_in_texts(rng, draw, kind):
    mask = token_mask(2, 7, 1, 0, 4, 3, T=7) if kind == "lengths" else rng.random((6, 7)) < 0.5
    packing, (Q, K, V) = packing_of(mask), draw(3, 6, 7, 4)
    in_texts, _ = attention(Q, K, V, mask[:, None, :])
    rows, _ = attention(*(pack(X, packing) for X in (Q, K, V)), packing.mask)
    wanted = np.where(mask[..., None], in_texts, 0.0)
    assert_allclose(unpack(rows, packing), wanted, rtol=1e-12, atol=1e-14)


# ---- gradients ----


def test_convention(convention, mask, draw):
    packing = packing_of(mask)
    convention(
        lambda Y: (unpack(Y, packing), packing), unpack_backward, draw(2, 8, 3)
    )


def test_gradients(assert_gradients, mask, draw):
    packing = packing_of(mask)
    assert_gradients(lambda Y: (unpack(Y, packing), packing), unpack_backward, draw(2, 8, 3))


# ---- bad input ----


def test_what_does_not_fit_is_named(mask, draw):
    packing = packing_of(mask)
    with pytest.raises(TypeError, match="mask must be a boolean array"):
        packing_of(mask.astype(int))
    with pytest.raises(ValueError, match="at least one axis"):
        packing_of(np.array(True))
    with pytest.raises(ValueError, match=r"X \(3, 7, 2\) must begin with .*\(3, 8\)"):
        pack(draw(3, 7, 2), packing)
    with pytest.raises(ValueError, match=r"R is 3 in Y, 2 in rows: got Y \(3, 8, 2\), rows"):
        unpack(draw(3, 8, 2), packing)


def test_a_gradient_that_is_no_text_is_named(mask, draw):
    with pytest.raises(ValueError, match="^T is 7 in dX, 8 in tokens"):
        unpack_backward(draw(3, 7, 2), packing_of(mask))


def test_of_texts_of_one_length_the_first_comes_first(rng):
    lengths = rng.integers(1, 4, 300)
    packing = packing_of(token_mask(*lengths, T=3))
    first = [packing.places[0][start] for start in np.cumsum(lengths) - lengths]
    for length in (2, 3):  # no gap of 2 is left behind, so that these rows rise
        assert (np.diff(np.array(first)[lengths == length]) > 0).all()
