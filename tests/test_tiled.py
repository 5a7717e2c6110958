"""Tiled attention: the pair, its tiles, its threads, its dropout, and merging partial results."""

import io
import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
from functools import partial
from itertools import combinations, product

import numpy as np
import pytest
import threadpoolctl
from numpy.testing import assert_allclose, assert_array_equal

from npattn import checking
from npattn.kernels.tiling import driver, tiles
from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.tiling.exp_range import Exponential, exponential, needs_shift, to_base
from npattn.kernels.masks import causal_mask, combine_masks, valid_lens_mask
from npattn.kernels.online_softmax import (
    Partial, log_sum_exp, merge_partials, merge_partials_backward,
)
from npattn.kernels.tiling.reach import set_aside, silence
from npattn.kernels.tiling.restrictions import reach_of
from npattn.kernels.tiling.scratch import Scratch
from npattn.kernels.tiling.threads import run, thread_count
from npattn.kernels.tiling.tiled import (
    _in_range, tiled_attention, tiled_attention_backward,
)
from npattn.kernels.tiling.tiles import keep_tile, latin_patches, row_patches, tile_shape

LEAD, TQ, TK, DK, DV = (2, 3), 50, 70, 6, 7


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles and patches so small that short sequences have many, the last ones cut off."""
    monkeypatch.setattr(driver, "tile_shape", lambda *sizes: (1, 16, 24))
    monkeypatch.setattr(tiles, "PATCH", 32)
    monkeypatch.setattr(driver, "WORTH_THREADS", 0)


@pytest.fixture
def QKV(draw):
    return draw(*LEAD, TQ, DK), draw(*LEAD, TK, DK), draw(*LEAD, TK, DV)


def both(QKV, mask=None, **options):
    """O, dQ, dK, dV and the cache."""
    O, cache = tiled_attention(*QKV, mask, **options)
    dO = np.random.default_rng(1).standard_normal(O.shape).astype(O.dtype)
    return (O, *tiled_attention_backward(dO, cache)), cache


def plain(QKV, mask=None, **options):
    O, cache = attention(*QKV, mask, **options)
    dO = np.random.default_rng(1).standard_normal(O.shape).astype(O.dtype)
    return O, *attention_backward(dO, cache)


def assert_same(found, expected, tolerance=2e-13):
    for got, want in zip(found, expected, strict=True):
        assert got.shape == want.shape and got.dtype == want.dtype
        assert_allclose(got, want, rtol=0.0, atol=tolerance * max(1.0, np.abs(want).max(initial=0)))


# ---- values ----


def test_one_query_by_hand():
    Q, K = np.array([[math.log(2.0)]]), np.array([[0.0], [1.0]])
    V = np.array([[3.0, 0.0], [6.0, 9.0]])
    O, cache = tiled_attention(Q, K, V)
    assert_allclose(O, [[5, 6]], rtol=1e-15)
    assert_allclose(cache.L, [math.log(3.0)], rtol=1e-15)
    # dP = (3, 6) and Σ dP P = 5, so dS = (−2/3, 2/3)
    dQ, dK, dV = tiled_attention_backward(np.array([[1.0, 0.0]]), cache)
    assert_allclose(dQ, [[2 / 3]], rtol=1e-14)
    assert_allclose(dK, [[-2 / 3 * math.log(2)], [2 / 3 * math.log(2)]], rtol=1e-14)
    assert_allclose(dV, [[1 / 3, 0], [2 / 3, 0]], rtol=1e-14)


# ---- the same as attention ----


@pytest.mark.parametrize("lead", [(), (1,), (4,), (2, 3)])
@pytest.mark.parametrize("scale", [None, -0.3])
def test_agrees_with_attention(draw, lead, scale):
    QKV = draw(*lead, 4, 6), draw(*lead, 5, 6), draw(*lead, 5, 7)
    assert_same(both(QKV, scale=scale)[0], plain(QKV, scale=scale))


MASKS = {
    "none": ({}, None),
    "causal": ({"causal": True}, causal_mask(TQ, TK)),
    "offset": ({"causal": True, "offset": 15}, causal_mask(TQ, TK, offset=15)),
    "dead rows": ({"causal": True, "offset": -20}, causal_mask(TQ, TK, offset=-20)),
    "lengths": ({"valid_lens": np.array([0, 37])}, valid_lens_mask(np.array([0, 37]), TK)[:, None]),
    "length per query": (
        {"valid_lens": np.arange(2 * TQ).reshape(2, TQ) % TK},
        valid_lens_mask(np.arange(2 * TQ).reshape(2, TQ) % TK, TK)[:, None],
    ),
    "window": ({"window": 5}, np.abs(np.arange(TK) - np.arange(TQ)[:, None]) < 5),
    "causal window": (
        {"causal": True, "window": 9, "offset": 20},
        causal_mask(TQ, TK, offset=20) & ~causal_mask(TQ, TK, offset=11),
    ),
    "all of them": (
        {"causal": True, "window": 30, "offset": 4, "valid_lens": np.array([41, 70])},
        causal_mask(TQ, TK, offset=4)
        & ~causal_mask(TQ, TK, offset=-26)
        & valid_lens_mask(np.array([41, 70]), TK)[:, None],
    ),
}


@pytest.mark.parametrize("magnitude", [1.0, 100.0, 1e4])
@pytest.mark.parametrize("kind", MASKS)
def test_agrees_under_every_mask_tile_by_tile(small_tiles, QKV, kind, magnitude):
    options, mask = MASKS[kind]
    QKV = magnitude * QKV[0], QKV[1], QKV[2]
    found, cache = both(QKV, threads=2, **options)
    assert_same(found, plain(QKV, mask), 1e-13 * magnitude)
    assert cache.shifted.any() == (magnitude > 1.0)


@pytest.mark.parametrize("magnitude", [1.0, 100.0, 1e4])
@pytest.mark.parametrize(
    "shape", [(2, 1, TQ, TK), (3, TQ, TK), (TQ, TK), (2, 3, TQ, 1), (TK,), (1,)]
)
def test_agrees_under_a_boolean_mask(small_tiles, QKV, draw_mask, shape, magnitude):
    QKV, mask = (magnitude * QKV[0], QKV[1], QKV[2]), draw_mask(1, *shape)[0]
    assert_same(both(QKV, mask)[0], plain(QKV, mask), 1e-13 * magnitude)
    causal = combine_masks(mask, causal_mask(TQ, TK, offset=3))
    assert_same(both(QKV, mask, causal=True, offset=3)[0], plain(QKV, causal), 1e-13 * magnitude)


def test_short_sequences_share_a_tile_and_need_no_special_case(draw, draw_mask):
    QKV = draw(5, 7, 9, 6), draw(5, 7, 8, 6), draw(5, 7, 8, 3)
    mask = draw_mask(5, 7, 9, 8)
    assert tile_shape(9, 8, 8)[0] > 35
    assert_same(both(QKV, mask)[0], plain(QKV, mask))


def test_long_sequences_at_the_real_tile_size(draw):
    QKV = draw(1, 1100, 4), draw(1, 1300, 4), draw(1, 1300, 3)
    assert_same(both(QKV, causal=True, offset=7)[0], plain(QKV, causal_mask(1100, 1300, offset=7)))


@pytest.mark.parametrize("sizes", [(0, 5, 6, 7), (4, 0, 6, 7), (4, 5, 6, 0), (0, 0, 1, 0)])
def test_empty_axes(draw, sizes):
    Tq, Tk, Dk, Dv = sizes
    QKV = draw(2, Tq, Dk), draw(2, Tk, Dk), draw(2, Tk, Dv)
    assert_same(both(QKV)[0], plain(QKV))
    for options in ({}, {"valid_lens": np.zeros(0, int)}, {"valid_lens": np.zeros((0, Tq), int)}):
        assert both([X[:0] for X in QKV], **options)[0][0].shape == (0, Tq, Dv)


def test_single_precision_stays_and_errs_little(draw):
    QKV = [X.astype(np.float32) for X in (draw(2, 300, 32), draw(2, 400, 32), draw(2, 400, 32))]
    exact = plain([X.astype(np.float64) for X in QKV])
    found, cache = both(QKV)
    assert {X.dtype for X in (*found, cache.L, cache.L_rest)} == {np.dtype(np.float32)}
    for got, want in zip(found, exact, strict=True):
        row = np.abs(want).max(axis=-1, keepdims=True)
        assert np.abs((got - want) / row).max() < 16 * np.finfo(np.float32).eps


def test_single_precision_errs_no_more_than_torch(draw):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    QKV = [f * draw(2, 700, 64).astype(np.float32) for f in (2, 1, 1)]
    exact = plain([X.astype(np.float64) for X in QKV], causal_mask(700))
    tensors = [torch.tensor(X[None], requires_grad=True) for X in QKV]
    O = torch.nn.functional.scaled_dot_product_attention(*tensors, is_causal=True)
    dO = np.random.default_rng(1).standard_normal(exact[0].shape).astype(np.float32)
    O.backward(torch.tensor(dO[None]))
    theirs = [X.numpy()[0] for X in (O.detach(), *(t.grad for t in tensors))]

    def error(results):
        return [np.linalg.norm(got - want) for got, want in zip(results, exact, strict=True)]

    ours = error(both(QKV, causal=True)[0])
    assert np.mean(np.log(np.divide(ours, error(theirs)))) < math.log(1.15)


# ---- invariants ----


def test_log_sum_exp_is_that_of_the_allowed_scores(QKV, draw_mask):
    Q, K, V = QKV
    mask = draw_mask(*LEAD, TQ, TK)
    _, cache = tiled_attention(Q, K, V, mask)
    S = np.where(mask, Q @ K.swapaxes(-1, -2) / math.sqrt(DK), -np.inf)
    with np.errstate(divide="ignore"):
        assert_allclose(cache.L, np.log(np.exp(S).sum(axis=-1)), rtol=1e-13)
    assert np.all(cache.L[..., 0] == -np.inf)


def test_a_query_without_keys_gets_zeros(small_tiles, QKV):
    (O, dQ, dK, dV), cache = both(QKV, valid_lens=np.array([0, 30]))
    assert not O[0].any() and not dQ[0].any() and not dK[0].any() and not dV[0].any()
    assert not dK[1, :, 30:].any() and not dV[1, :, 30:].any()
    assert np.all(cache.L[0] == -np.inf)


def test_a_query_whose_scores_are_all_minus_infinity_gets_zeros():
    Q, K, V = np.full((2, 1), 1e200), np.full((3, 1), -1e200), np.full((3, 2), 5.0)
    O, cache = tiled_attention(Q, K, V)
    assert_array_equal(O, attention(Q, K, V)[0])
    assert_array_equal(O, np.zeros((2, 2)))
    assert_array_equal(cache.L, [-np.inf] * 2)
    for X in tiled_attention_backward(np.ones((2, 2)), cache):
        assert_allclose(X, np.zeros(X.shape), atol=1e-100)  # the least normal number times K


def test_rows_that_are_set_aside_are_zeros(draw):
    arrays = [draw(1, 4, 3) for _ in range(3)]
    for i, X in enumerate(arrays):
        X[0, i, 1] = (np.nan, np.inf, -np.inf)[i]
    *found, spoilt = set_aside(*arrays, reach_of((1, 4), 4, causal=True))
    for i, (X, old) in enumerate(zip(found, arrays, strict=True)):
        expected = old.copy()
        expected[0, i] = 0.0
        assert_array_equal(X, expected)
    assert spoilt.tolist() == [[True] * 4]


@pytest.mark.parametrize("future", [3.0, 1e9, np.nan, np.inf])
def test_the_future_leaves_the_past_bit_identical(small_tiles, QKV, future):
    Q, K, V = QKV
    changed = [X.copy() for X in QKV]
    for X in changed:
        X[..., 33:, :] = future
    found, _ = both(changed, causal=True)
    expected, _ = both(QKV, causal=True)
    assert_array_equal(found[0][..., :33, :], expected[0][..., :33, :])
    dO = np.where(np.arange(TQ)[:, None] < 33, 1.0, 0.0) * np.ones((*LEAD, TQ, DV))
    past = [
        tiled_attention_backward(dO, tiled_attention(*X, causal=True)[1])[0][..., :33, :]
        for X in (QKV, changed)
    ]
    assert_array_equal(*past)


@pytest.mark.parametrize("garbage", [np.nan, np.inf, -np.inf])
def test_what_is_masked_cannot_leak(small_tiles, QKV, draw_mask, garbage):
    mask = draw_mask(*LEAD, TQ, TK)
    mask[..., [7, 40]] = False  # nobody may attend to these
    Q, K, V = QKV
    K2, V2 = K.copy(), V.copy()
    K2[..., 7, 2] = V2[..., 40, 3] = garbage
    for got, want in zip(both((Q, K2, V2), mask)[0], both(QKV, mask)[0], strict=True):
        assert_array_equal(got, want)


@pytest.mark.parametrize("garbage", [np.nan, np.inf])
@pytest.mark.parametrize("name", "QKV")
def test_what_is_beyond_the_length_of_a_head_reaches_no_other_in_the_same_tile(draw, name, garbage):
    QKV = {"Q": draw(16, 4, 3), "K": draw(16, 5, 3), "V": draw(16, 5, 2)}
    lens = np.array([5, 0 if name == "Q" else 2, *[5] * 14])
    QKV[name][1, 0 if name == "Q" else 2:] = 0.0
    expected, cache = both([*QKV.values()], valid_lens=lens)
    assert not cache.shifted.any()
    QKV[name][1, 0 if name == "Q" else 2:] = garbage
    for found, want in zip(both([*QKV.values()], valid_lens=lens)[0], expected, strict=True):
        assert_array_equal(found, want)


@pytest.mark.parametrize("size", [1e4, 1e100])
@pytest.mark.parametrize("name", "KV")
def test_a_large_number_in_the_future_reaches_nothing(draw, name, size):
    """exp of such a score is inf where the scores that count are small, and inf · 0 is NaN."""
    QKV, dO = dict(Q=100.0 * draw(12, 4), K=draw(12, 4), V=draw(12, 4)), 1e250 * draw(12, 4)
    QKV["Q"][6:] = dO[9:] = 0.0

    def past():
        O, cache = tiled_attention(*QKV.values(), causal=True)
        assert not cache.shifted.any()
        return [X[:9] for X in (O, *tiled_attention_backward(dO, cache))]

    expected = past()
    QKV[name][9] = [size, -size, size, 0.0]
    for found, want in zip(past(), expected, strict=True):
        assert_array_equal(found, want)


def test_a_large_bias_of_a_query_without_keys_reaches_nothing(draw):
    QKV, bias = (draw(1, 2, 3), draw(1, 4, 3), draw(1, 4, 3)), np.array([[1e3], [0.0]])
    lens = np.array([[0, 4]])
    O, cache = tiled_attention(*QKV, bias=bias, valid_lens=lens)
    for X in (O, *tiled_attention_backward(np.ones_like(O), cache)):
        assert np.isfinite(X).all()
    assert_allclose(O[:, 1:], attention(QKV[0][:, 1:], *QKV[1:])[0], rtol=1e-13)


def test_a_broken_key_reaches_only_those_who_may_attend_to_it(small_tiles, QKV, draw_mask):
    mask = draw_mask(*LEAD, TQ, TK)
    Q, K, V = QKV
    K2, V2 = K.copy(), V.copy()
    K2[..., 7, 2], V2[..., 40, 3] = np.nan, np.inf
    (O, dQ, dK, dV), _ = both((Q, K2, V2), mask)
    spoilt = mask[..., 7] | mask[..., 40]
    expected = both(QKV, mask)[0]
    assert np.isnan(O[spoilt]).all() and np.isnan(dQ[spoilt]).all()
    assert_array_equal(O[~spoilt], expected[0][~spoilt])
    assert_array_equal(dQ[~spoilt], expected[1][~spoilt])
    reached = (mask & spoilt[..., None]).any(axis=-2)
    assert np.isnan(dK[reached]).all() and np.isfinite(dK[~reached]).all()
    assert np.isnan(dV[reached]).all() and np.isfinite(dV[~reached]).all()


def test_a_broken_query_is_alone(small_tiles, QKV, draw_mask):
    Q2 = QKV[0].copy()
    Q2[..., [0, 20], 1] = np.nan  # 0 may attend to nothing
    mask = draw_mask(*LEAD, TQ, TK)
    (O, _, dK, _), _ = both((Q2, *QKV[1:]), mask)
    assert np.isnan(O[..., 20, :]).all() and not O[..., 0, :].any()
    assert_array_equal(np.isnan(O).any(axis=-1).sum(axis=-1), np.ones(LEAD))
    assert_array_equal(np.isnan(dK).any(axis=-1), mask[..., 20, :])


@pytest.mark.parametrize("far", [2**31 - 1, 2**63 - 1, 2**100])
def test_positions_may_be_any_distance_apart(draw, far):
    QKV = draw(2, 1, 6), draw(2, 5, 6), draw(2, 5, 7)
    everybody, nobody = plain(QKV), plain(QKV, np.zeros((1, 5), bool))
    assert_same(both(QKV, window=far)[0], everybody)
    assert_same(both(QKV, causal=True, offset=far)[0], everybody)
    assert_same(both(QKV, causal=True, offset=-far)[0], nobody)
    for offset in (far, -far):
        assert_same(both(QKV, window=9, offset=offset)[0], nobody)


@pytest.mark.parametrize("options", [{}, {"causal": True}, {"dropout": 0.4}])
def test_the_number_of_threads_changes_no_bit(small_tiles, QKV, options):
    alone, side_by_side = (
        both(QKV, threads=n, rng=np.random.default_rng(0), **options)[0] for n in (1, 3)
    )
    for one, many in zip(alone, side_by_side, strict=True):
        assert_array_equal(one, many)


@pytest.mark.parametrize(
    "options, expected",
    [({}, 12), ({"valid_lens": np.array([24])}, 4), ({"window": 1}, 4), ({"causal": True}, 8)],
)
def test_empty_tiles_are_skipped(small_tiles, draw, monkeypatch, options, expected):
    Q, K, V = draw(1, 64, DK), draw(1, 72, DK), draw(1, 72, DV)
    count = []
    tiles_of = driver.Reach.tiles

    def counted(self, *args):
        for tile in tiles_of(self, *args):
            count.append(tile)
            yield tile

    monkeypatch.setattr(driver.Reach, "tiles", counted)
    tiled_attention(Q, K, V, threads=1, **options)
    assert len(count) == expected


def test_full_tiles_need_no_mask():
    reach = reach_of((1, 64), 64, causal=True)
    found = {
        (rows.start, tile.start): None if allowed is None else allowed.all(axis=0).any()
        for rows in tiles.blocks(0, 64, 16)
        for tile, allowed in reach.tiles(slice(0, 1), rows, slice(0, 64), 16)
    }
    assert all((allowed is None) == (row > key) for (row, key), allowed in found.items())
    assert len(found) == 10


REACHES = {
    "all": {}, "lengths": {"valid_lens": np.array([13, 20])}, "window": {"window": (9, 4)},
    "causal": {"causal": True, "offset": 3}, "mask": {"mask": np.arange(40) % 8 != 5},
    "mask and window": {"mask": np.arange(40) // 8 != 2, "window": (9, 20)},
}


def pairs_of(reach):
    """The same as a matrix, (N, Tk, Tq) bool."""
    j = np.arange(40)[None, :, None]
    band = (reach.start[:, None] <= j) & (j < reach.stop[:, None])
    return band if reach.mask is None else band & reach.mask.swapaxes(1, 2)


@pytest.mark.parametrize("by_query", [False, True])
@pytest.mark.parametrize("kind", REACHES)
def test_tiles_are_not_empty_and_are_told_what_is_not_allowed_and_no_more(kind, by_query):
    reach = reach_of((2, 40), 40, **REACHES[kind])._replace(by_query=by_query)
    for begin, heads, rows in product((0, 5), (1, 2), tiles.blocks(0, 40, 16)):
        pairs, seen = pairs_of(reach)[:heads, :, rows], 0
        for tile, allowed in reach.tiles(slice(0, heads), rows, slice(begin, 40), 8):
            part = pairs[:, tile]
            ones, rest = np.ones(part.shape), np.full(part.shape, np.nan)
            assert part.any() and (allowed is None) == part.all()
            silence(ones, allowed)
            silence(rest, allowed, 0.0)
            assert_array_equal(ones, part)
            assert_array_equal(np.isnan(rest), part)
            seen += part.sum()
            if allowed is not None:
                assert (allowed.swapaxes(1, 2) if by_query else allowed).flags.c_contiguous
            if allowed is not None and kind in ("lengths", "causal"):
                assert not part[:, -allowed.shape[1]].all()  # the keys before it are whole
        assert seen == pairs[:, begin:].sum()


@pytest.mark.parametrize("by_query", [False, True])
@pytest.mark.parametrize("kind", REACHES)
def test_who_meets_a_marked_key_block_by_block(kind, by_query, monkeypatch, rng):
    monkeypatch.setattr("npattn.kernels.tiling.reach.PATCH", 16)
    reach = reach_of((2, 40), 40, **REACHES[kind])._replace(by_query=by_query)
    for marked in (rng.random((2, 40)) < 0.05, np.eye(2, 40, 17, bool)):
        expected = (pairs_of(reach) & marked[:, :, None]).any(axis=1)
        assert_array_equal(reach.meets(marked), expected)


def test_only_a_reach_without_restrictions_is_free():
    for free in ({}, {"window": (None, None)}, {"window": (None, None), "offset": 500}):
        assert reach_of((2, 4), 5, **free).free and reach_of((0, 4), 5, **free).free
    for other in ({"causal": True}, {"valid_lens": np.array([5, 4])}, {"window": (1, None)},
                  {"mask": np.ones((4, 5), bool)}):
        assert not reach_of((2, 4), 5, **other).free


@pytest.mark.parametrize("sizes", [(3, 100, 70), (1, 20, 200), (2, 1, 1), (1, 0, 5)])
def test_patches_cover_the_matrix_and_name_all_they_share(small_tiles, sizes):
    N, Tq, Tk = sizes
    for patches in (row_patches, latin_patches):
        seen, dealt = np.zeros(sizes, int), patches(N, Tq, Tk, (1, 16, 24))
        for (heads, rows, keys), _ in dealt:
            seen[heads, rows, keys] += 1
        assert np.all(seen == 1)
        for ((n1, rows1, keys1), sums1), ((n2, rows2, keys2), sums2) in combinations(dealt, 2):
            assert n1 != n2 or rows1 != rows2 or patches is latin_patches
            common = (rows1 == rows2) + (keys1 == keys2) if n1 == n2 else 0
            assert patches is row_patches or len(set(sums1) & set(sums2)) == common


def test_patches_that_follow_each_other_share_nothing(small_tiles):
    sums = [sums for _, sums in latin_patches(2, 128, 128, (1, 16, 24))]
    for i in range(0, len(sums), 8):  # four to a diagonal, two heads
        assert len(set().union(*sums[i : i + 8])) == 16


# ---- dropout ----


def test_dropout_is_that_of_keep_tile(small_tiles, QKV):
    found, cache = both(QKV, causal=True, offset=9, dropout=0.3, rng=np.random.default_rng(5))
    everything = slice(0, 6), slice(0, TQ), slice(0, TK)
    keep = keep_tile(0.3, cache.seed, *everything).swapaxes(1, 2).reshape(*LEAD, TQ, TK) / 0.7
    O, whole = attention(*QKV, causal_mask(TQ, TK, offset=9))
    dO = np.random.default_rng(1).standard_normal(O.shape)
    expected = attention_backward(dO, whole._replace(keep=keep))
    assert_same(found, ((whole.P * keep) @ QKV[2], *expected))


def test_dropout_drops_its_share_independently():
    keep = keep_tile(0.3, 11, slice(0, 4), slice(0, 300), slice(0, 500))
    assert keep.shape == (4, 500, 300)
    for axes in ((0, 1), (0, 2), (1, 2)):
        n = keep.size // np.prod([s for i, s in enumerate(keep.shape) if i not in axes])
        assert np.abs(keep.mean(axis=axes) - 0.7).max() < 5 * math.sqrt(0.21 / n)
    shares = [np.mean(keep[:, 1:] == keep[:, :-1]), np.mean(keep[1:] == keep[:-1])]
    assert_allclose(shares, 0.7**2 + 0.3**2, atol=0.01)
    assert not np.array_equal(keep, keep_tile(0.3, 12, slice(0, 4), slice(0, 300), slice(0, 500)))


def test_dropout_of_a_tile_is_a_tile_of_the_dropout():
    whole = keep_tile(0.5, 3, slice(0, 3), slice(0, 400), slice(0, 90))
    part = keep_tile(0.5, 3, slice(1, 3), slice(100, 390), slice(17, 60))
    assert_array_equal(part, whole[1:3, 17:60, 100:390])
    part = keep_tile(0.5, 3, slice(1, 3), slice(200, 390), slice(17, 60))
    assert_array_equal(part, whole[1:3, 17:60, 200:390])


def test_without_a_generator_nothing_is_dropped(QKV):
    O, cache = tiled_attention(*QKV, dropout=0.5)
    assert cache.seed is None
    assert_array_equal(O, tiled_attention(*QKV)[0])


# ---- the range of exp ----


def test_the_bound_tells_small_scores_from_large_ones(draw):
    Q, K, V = draw(1, 5, 6), draw(1, 7, 6), draw(1, 7, 3)
    stop = np.full((1, 5), 7)
    assert not needs_shift(Q, K, V, stop, 1.0)[0].any()
    assert needs_shift(1e4 * Q, K, V, stop, 1.0)[0].all()
    assert needs_shift(Q, K, 1e200 * V, stop, 1.0)[0].all()
    assert needs_shift(Q, K, 1e-200 * V, stop, 1.0)[0].all()
    K[0, 5] = 1e6
    (found,), _ = needs_shift(Q, K, V, np.array([[5, 5, 6, 0, 7]]), 1.0)
    assert_array_equal(found, [0, 0, 1, 0, 1])


@pytest.mark.parametrize("scale", [1.0, -0.25, 4.0])
@pytest.mark.parametrize("value", [1.0, 2.0**100, 2.0**-100])
def test_scores_and_values_may_fill_half_of_the_exponents_and_no_more(value, scale):
    """Of the 512 bits that are half of float64's, 8 keys take 3. The second head is small."""
    Q, K, V = np.ones((2, 5, 1)), np.zeros((2, 8, 1)), np.full((2, 8, 1), value)
    Q[:, 4] = 0.5
    for bits, above in ((508.9, 0), (509.1, 1)):
        K[0, 3] = (bits - abs(math.log2(value))) * math.log(2.0) / abs(scale)
        for stop in ([8, 4, 3, 0, 8], [8] * 5):
            expected = [[above * (keys > 3) for keys in stop[:4]] + [0], [0] * 5]
            assert_array_equal(needs_shift(Q, K, V, np.array([stop] * 2), scale)[0], expected)


@pytest.mark.parametrize("Tk, most", [(1, 512.0), (8, 509.0)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_values_alone_may_fill_half_of_the_exponents_and_no_more(Tk, most, sign):
    Q, K, stop = np.ones((1, 1, 1)), np.zeros((1, Tk, 1)), np.array([[Tk]])
    for bits, expected in ((most - 1.0, 0), (most, 1)):
        V = np.full((1, Tk, 1), 2.0 ** (sign * bits))
        assert_array_equal(needs_shift(Q, K, V, stop, 1.0)[0], [[expected]])


@pytest.mark.parametrize("broken", [np.nan, np.inf])
@pytest.mark.parametrize("name", "KV")
def test_a_broken_row_that_nobody_meets_is_told_in_its_own_head(draw, name, broken):
    Q, K, V, stop = draw(2, 3, 1), draw(2, 4, 1), draw(2, 4, 1), np.full((2, 3), 2)
    dict(K=K, V=V)[name][1, 3] = broken
    assert needs_shift(Q, K, V, stop, 1.0)[0].tolist() == [[False] * 3, [True] * 3]


def test_a_small_value_that_a_query_meets_alone_is_not_hidden_by_larger_ones(draw):
    Q, K, V = draw(1, 5, 6), draw(1, 7, 6), draw(1, 7, 3)
    V[0, 0] = 1e-200
    assert not needs_shift(Q, K, V, np.full((1, 5), 7), 1.0)[0].any()
    (found,), _ = needs_shift(Q, K, V, np.array([[1, 2, 3, 0, 7]]), 1.0)
    assert_array_equal(found, [1, 0, 0, 0, 0])


def test_the_log_sum_exp_and_its_rest_lose_nothing():
    m = np.array([0.0, -np.inf, 0.3, -7.1, 9876.5], np.float32)
    Z = np.array([5.0, 0.0, 90.0, 1.0, 3.0], np.float32)
    L, rest = log_sum_exp(m, Z)
    assert L.dtype == rest.dtype == np.float32 and L[1] == -np.inf and rest[1] == 0.0
    m, Z, found = (X[m > -np.inf].astype(np.longdouble) for X in (m, Z, L + rest.astype(float)))
    assert_allclose(found, m + np.log(Z), rtol=0.0, atol=1e-10)


EXTREMES = {
    "large": lambda S: 1e4 * np.sign(S),
    "spread": lambda S: np.linspace(-1e4, 1e4, S.size).reshape(S.shape),
    "one key dominates": lambda S: np.where(np.arange(S.shape[1]) == 3, 1e4, S),
    "far below zero": lambda S: S - 1e4,
    "all equal and large": lambda S: np.full_like(S, 9876.0),
    "all equal": lambda S: np.zeros_like(S),
    "denormal": lambda S: S * np.finfo(S.dtype).smallest_subnormal * 100,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", EXTREMES)
def test_extreme_scores(monkeypatch, draw, kind, dtype):
    """The scores are given: Q is the identity and K holds them."""
    monkeypatch.setattr(driver, "tile_shape", lambda *sizes: (1, 4, 5))
    S = EXTREMES[kind](draw(12, 17).astype(dtype)).astype(dtype)
    QKV = np.eye(12, dtype=dtype), np.ascontiguousarray(S.T), draw(17, 3).astype(dtype)
    found, cache = both(QKV, scale=1.0)
    expected = plain([X.astype(np.float64) for X in QKV], scale=1.0)
    assert cache.shifted.any() == (np.abs(S).max() > 1e3)
    eps, largest = np.finfo(dtype).eps, max(1.0, np.abs(S).max())  # dQ is a sum of keys
    for got, want, terms in zip(found, expected, (8, largest**2, largest, largest), strict=True):
        assert_allclose(got, want, rtol=0.0, atol=2 * eps * max(8.0, terms))


@pytest.mark.parametrize("magnitude", [1e-38, 1e-30, 1e30, 1e37])
def test_extreme_values(draw, magnitude):
    QKV = [X.astype(np.float32) for X in (4 * draw(9, 8), draw(40, 8), magnitude * draw(40, 8))]
    O, cache = tiled_attention(*QKV)
    expected = attention(*(X.astype(np.float64) for X in QKV))[0]
    assert_allclose(O, expected, rtol=0.0, atol=2e-6 * np.abs(expected).max() + 1e-44)


@pytest.mark.parametrize("magnitude", [1e-30, 1e28])
@pytest.mark.parametrize("score", [-30.0, 30.0])
def test_extreme_upstream_gradients(draw, score, magnitude):
    """exp(−L) dO may leave the range of floats where no gradient does."""
    Q, K = np.ones((9, 1), np.float32), (score + 0.1 * draw(40, 1)).astype(np.float32)
    V, dO = draw(40, 8).astype(np.float32), (magnitude * draw(9, 8)).astype(np.float32)
    _, cache = tiled_attention(Q, K, V)
    assert not cache.shifted.any()
    _, exact = tiled_attention(*(X.astype(np.float64) for X in (Q, K, V)))
    found = tiled_attention_backward(dO, cache)
    for got, want in zip(found, tiled_attention_backward(dO.astype(float), exact), strict=True):
        assert_allclose(got, want, rtol=0.0, atol=1e-3 * np.abs(want).max())


@pytest.mark.parametrize("score, magnitude", [(-30.0, 1e28), (30.0, 1e-30)])
def test_extreme_upstream_gradients_beside_a_row_of_large_scores(draw, score, magnitude):
    Q, K = np.array([[1.0], [9.0]], np.float32), (score + 0.1 * draw(40, 1)).astype(np.float32)
    V, dO = draw(40, 8).astype(np.float32), (magnitude * draw(2, 8)).astype(np.float32)
    _, cache = tiled_attention(Q, K, V)
    assert cache.shifted.tolist() == [False, True]
    _, exact = tiled_attention(*(X.astype(np.float64) for X in (Q, K, V)))
    found = tiled_attention_backward(dO, cache)
    for got, want in zip(found, tiled_attention_backward(dO.astype(float), exact), strict=True):
        assert_allclose(got, want, rtol=0.0, atol=1e-3 * np.abs(want).max())


def test_a_forbidden_key_whose_gradient_overflows_is_silent(draw):
    Q, K, V, dO = 300.0 * draw(3, 4), draw(2, 4), draw(2, 5), 1e10 * draw(3, 5)
    V[1] = 1e300
    O, cache = tiled_attention(Q, K, V, np.array([True, False]))
    assert cache.shifted.all()
    dQ, dK, dV = tiled_attention_backward(dO, cache)
    assert_array_equal(O, np.broadcast_to(V[0], O.shape))
    for found, expected in ((dQ, 0.0), (dK, 0.0), (dV, [dO.sum(axis=0), np.zeros(5)])):
        assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-12, atol=1e-2)


@pytest.mark.parametrize("size", [0.0, 1.0])
def test_a_forbidden_value_that_overflows_beside_a_large_gradient_is_silent(draw, size):
    QK, V, dO, mask = draw(2, 3, 4), draw(3, 5), 1e200 * draw(3, 5), np.array([True, False, True])
    V[:, :4] *= size
    dO[:, 4] *= size  # all δ are 0 if the size is
    V[1] = 1e150  # dP is infinite, and P is 0
    _, cache = tiled_attention(*QK, V, mask)
    assert not cache.shifted.any() and not cache.loud
    expected = attention_backward(dO, attention(*QK, V, mask)[1])
    assert_same(tiled_attention_backward(dO, cache), expected)


def test_a_forbidden_value_is_silent_where_another_gradient_is_tiny(draw):
    K, V, dO = np.full((2, 1), 100.0), draw(2, 3), draw(2, 3) * [[1e240], [1e-290]]
    V[1] = 1e100  # w dO leaves the range of floats, and dO V, which takes its place, as well
    _, cache = tiled_attention(np.ones((2, 1)), K, V, np.array([True, False]))
    assert not cache.shifted.any() and not cache.loud
    for X in tiled_attention_backward(dO, cache):
        assert np.isfinite(X).all()


def test_large_scores_keep_their_maximum_beside_a_broken_key(small_tiles, draw):
    Q, K, V = 1e4 * draw(TQ, DK), draw(TK, DK), draw(TK, DV)
    K[5], mask = np.nan, np.ones((TQ, TK), bool)
    mask[7:, 5] = False
    found, cache = both((Q, K, V), mask)
    assert cache.shifted.all() and np.isnan(found[0][:7]).all()
    assert_same([found[0][7:]], [plain((Q[7:], K, V), mask[7:])[0]], 1e-9)


@pytest.mark.parametrize("kind", ["plain", "causal", "lengths", "shared", "large"])
@pytest.mark.parametrize("Tq, Tk", [(TQ, TK), (16, 24), (TQ, 0), (0, TK)])
def test_no_memory_is_read_before_it_is_written(small_tiles, monkeypatch, draw, Tq, Tk, kind):
    lead = (2, 1) if kind == "shared" else LEAD
    Q, K, V = draw(*LEAD, Tq, DK), draw(*lead, Tk, DK), draw(*lead, Tk, DV)
    Q, lens = (1e3 if kind == "large" else 1.0) * Q, np.array([0, Tk // 2])
    options, mask = {
        "causal": ({"causal": True}, causal_mask(Tq, Tk)),
        "lengths": ({"valid_lens": lens}, valid_lens_mask(lens, Tk)[:, None]),
    }.get(kind, ({}, None))
    expected = plain((Q, K, V), mask)

    def spoilt_empty(shape, dtype=float):
        return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 1, dtype)

    monkeypatch.setattr(np, "empty", spoilt_empty)
    assert_same(both((Q, K, V), threads=2, **options)[0], expected, 1e-11)


def test_products_are_in_range_up_to_half_of_the_largest_number():
    dO, w = np.float32([[0.125], [-0.5]]), np.float32([0.25, 0.0625])
    most = np.finfo(np.float32).max / np.float32(2 * 0.5 * 0.25 * 2 * 4)  # Dv = 2, scale = −4
    with np.errstate(all="raise"):
        for V, expected in ((0.99 * most, True), (most, False), (np.nan, False)):
            assert _in_range(dO, w, np.float32([[[0.5, -V]]]), -4.0) is expected
        assert _in_range(np.float32([[0.0]]), w, np.float32([[[most]]]), 1.0)
        assert not _in_range(np.array([[1e200]]), np.array([1e200]), np.array([[[0.0]]]), 1.0)
        assert _in_range(dO[:0], w[:0], np.float32([[[]]]), 1.0)


def test_both_exponentials_give_the_same(monkeypatch, QKV):
    expected = both(QKV)[0]
    for exp, ln in ((np.exp, 1.0), (np.exp2, math.log(2.0))):
        base = Exponential(exp, ln, math.ceil(math.log(1e-300) / ln))
        monkeypatch.setattr(
            "npattn.kernels.tiling.passes.exponential", lambda dtype, natural, b=base: b
        )
        assert_same(both(QKV)[0], expected)


def test_nothing_is_left_too_low_for_the_exponential():
    base, S = exponential(np.dtype(float)), np.array([[[-1e4, 1.0], [-2.0, 3.0]]])
    to_base(S, np.array([[True, False]]), base)
    assert_allclose(S, [[[base.lowest, 1.0], [-2.0 / base.ln, 3.0]]], rtol=1e-15)


@pytest.mark.parametrize("natural", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lowest_exponent_is_a_normal_number(dtype, natural):
    base = exponential.__wrapped__(dtype, natural)
    assert base.exp is np.exp or not natural
    assert exponential.__wrapped__(dtype) == exponential.__wrapped__(dtype, False)
    assert np.finfo(dtype).tiny <= base.exp(dtype(base.lowest)) < 4 * np.finfo(dtype).tiny
    assert_allclose(base.exp(dtype(1.0 / base.ln)), math.e, rtol=1e-6)


# ---- gradients ----


@pytest.mark.sampled(2)
@pytest.mark.parametrize("options", [{}, {"causal": True, "offset": -1}, {"dropout": 0.4}])
def test_gradients(draw, options):
    QKV = draw(2, 3, 2), draw(2, 4, 2), draw(2, 4, 3)
    rng = np.random.default_rng(3) if "dropout" in options else None
    checking.assert_gradients(
        tiled_attention, tiled_attention_backward, *QKV, rng=rng, method="central", **options
    )


def test_convention(convention, draw, draw_mask):
    QKV = draw(2, 3, 4, 6), draw(2, 3, 5, 6), draw(2, 3, 5, 7)
    mask = draw_mask(2, 3, 5, 5)[..., 1:, :]
    convention(tiled_attention, tiled_attention_backward, *QKV, mask, causal=True, offset=1)


def test_gradient_through_the_log_sum_exp(draw, draw_mask):
    """The loss Σ dO O + Σ dL L, by the complex step through plain attention's own pieces."""
    Q, K, V, dO, dL = draw(2, 4, 6), draw(2, 5, 6), draw(2, 5, 7), draw(2, 4, 7), draw(2, 4)
    mask = draw_mask(2, 4, 5)

    def loss(Q, K, V):
        E = np.exp(Q @ K.swapaxes(-1, -2) / math.sqrt(6)) * mask
        Z = E.sum(axis=-1)
        Z[:, 0] = 1.0  # the dead row
        return (dO * (E @ V / Z[..., None])).sum() + (dL * np.log(Z)).sum()

    _, cache = tiled_attention(Q, K, V, mask)
    gradients = tiled_attention_backward(dO, cache, dL)
    for k, gradient in enumerate(gradients):
        for index in np.ndindex(gradient.shape):
            args = [X.astype(complex) for X in (Q, K, V)]
            args[k][index] += 1e-30j
            assert_allclose(gradient[index], loss(*args).imag / 1e-30, rtol=1e-11, atol=1e-13)


# ---- merging ----


def test_merged_parts_are_the_whole(QKV, draw_mask):
    Q, K, V = QKV
    mask = draw_mask(*LEAD, TQ, TK)
    mask[..., 5, :20] = mask[..., 6, 20:] = False
    parts = [slice(0, 20), slice(20, 45), slice(45, TK)]
    caches = [tiled_attention(Q, K[..., k, :], V[..., k, :], mask[..., k])[1] for k in parts]
    merged, first = merge_partials(caches[0][3:5], caches[1][3:5])
    merged, second = merge_partials(merged, caches[2][3:5])
    O, whole = tiled_attention(Q, K, V, mask)
    assert_allclose(merged.O, O, rtol=0.0, atol=1e-14)
    assert_allclose(merged.L, whole.L, rtol=1e-14)
    # and so are their gradients
    dO, dL = np.random.default_rng(1).standard_normal(O.shape), np.zeros_like(whole.L)
    both_first, third = merge_partials_backward((dO, dL), second)
    gradients = [*merge_partials_backward(both_first, first), third]
    found = [
        tiled_attention_backward(d.O, cache, d.L)
        for d, cache in zip(gradients, caches, strict=True)
    ]
    expected = tiled_attention_backward(dO, whole)
    assert_allclose(sum(dQ for dQ, _, _ in found), expected[0], rtol=0.0, atol=1e-13)
    assert_allclose(np.concatenate([dK for _, dK, _ in found], axis=-2), expected[1], atol=1e-13)
    assert_allclose(np.concatenate([dV for _, _, dV in found], axis=-2), expected[2], atol=1e-13)


def test_merging_with_nothing_changes_nothing(draw):
    O, L = draw(4, 3), draw(4)
    nothing = np.zeros((4, 3)), np.full(4, -np.inf)
    for pair in (((O, L), nothing), (nothing, (O, L))):
        merged, cache = merge_partials(*pair)
        assert_array_equal(merged.O, O)
        assert_array_equal(merged.L, L)
    merged, cache = merge_partials(nothing, nothing)
    assert not merged.O.any() and np.isneginf(merged.L).all()
    gradients = merge_partials_backward((O, L), cache)
    assert all(not part.O.any() and not part.L.any() for part in gradients)


def test_gradients_of_merging(assert_gradients, draw):
    parts = [Partial(draw(2, 4, 3), 3.0 * draw(2, 4)) for _ in range(2)]
    assert_gradients(merge_partials, merge_partials_backward, *parts)


# ---- memory and threads ----


def peak(Q, K, V, dO):
    """Bytes beyond outputs and gradients, and for the worst of both directions."""
    tiled_attention_backward(dO[:8], tiled_attention(Q[:8], K[:8], V[:8])[1])  # what is kept anyway
    tracemalloc.start()
    O, cache = tiled_attention(Q, K, V, threads=2)
    forward = tracemalloc.get_traced_memory()[1] - O.nbytes
    tracemalloc.reset_peak()
    tiled_attention_backward(dO, cache)
    backward = tracemalloc.get_traced_memory()[1] - O.nbytes - 3 * Q.nbytes
    tracemalloc.stop()
    return max(forward, backward)


def test_memory_does_not_grow_with_the_square(rng):
    T = 4096
    arrays = [rng.standard_normal((T, 64), dtype=np.float32) for _ in range(4)]
    assert peak(*arrays) < 12 * 2**20  # one float32 for each score would be 64 MiB
    assert peak(*(X[: T // 4] for X in arrays)) < 12 * 2**20


def blas_threads():
    libraries = [i for i in threadpoolctl.threadpool_info() if i["user_api"] == "blas"]
    return {library["filepath"]: library["num_threads"] for library in libraries}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("threads", [1, 2])
def test_an_exception_ends_the_call_and_restores_blas(error, threads):
    before, done, afterwards = blas_threads(), [], []

    def fail():
        done.append(blas_threads())
        raise error("stop")

    with pytest.raises(error, match="stop"):
        jobs = [(fail, "a"), *[(lambda: None, ())] * 5, (lambda: afterwards.append(1), "a")]
        run(jobs, threads)
    assert set(done[0].values()) == {1}
    assert blas_threads() == before
    assert not afterwards


def test_an_exception_on_another_thread_reaches_the_caller():
    caller, waits, begun = threading.get_ident(), threading.Event(), []

    def fail_elsewhere():
        begun.append(1)
        if threading.get_ident() == caller:
            waits.wait(timeout=30)
        else:
            waits.set()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        run([(fail_elsewhere, ())] * 2 + [(lambda: begun.append(1), ())] * 100, 2)
    assert len(begun) < 102


def test_jobs_with_a_common_place_come_one_after_the_other(rng):
    """In their order, and never two at a time."""
    places = [tuple(rng.choice(6, size=n, replace=False)) for n in rng.integers(0, 4, size=200)]
    log, busy = {place: [] for place in range(6)}, set()

    def job(i):
        assert not busy.intersection(places[i])
        busy.update(places[i])
        time.sleep(1e-4)
        for place in places[i]:
            log[place].append(i)
        busy.difference_update(places[i])

    run([(partial(job, i), places[i]) for i in range(200)], 4)
    assert log == {place: [i for i in range(200) if place in places[i]] for place in range(6)}


def test_a_job_does_not_wait_for_those_that_do_not_concern_it():
    begun = threading.Event()
    run([(lambda: begun.wait(timeout=30), "a"), (lambda: None, "a"), (begun.set, "b")], 2)
    assert begun.is_set()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_who_waits_for_a_job_that_fails_is_let_go(error):
    caller, waits, begun = threading.get_ident(), threading.Event(), []

    def fail():
        waits.wait(timeout=0.05)  # until the other thread has nothing to do but to wait
        raise error("stop")

    with pytest.raises(error, match="stop"):
        run([(fail, "a"), *[(lambda: begun.append(threading.get_ident() == caller), "a")] * 3], 2)
    assert not begun


@pytest.fixture
def heeds_ctrl_c():
    """A process that a shell starts in the background ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals between threads")
def test_the_caller_may_be_interrupted_while_it_waits(heeds_ctrl_c):
    caller, together, afterwards = threading.get_ident(), threading.Barrier(2), []

    def job():
        together.wait(timeout=30)
        if threading.get_ident() != caller:
            time.sleep(0.05)  # meanwhile the caller finds nothing that may begin
            signal.pthread_kill(caller, signal.SIGINT)
            time.sleep(0.05)

    with pytest.raises(KeyboardInterrupt):
        run([(job, "a"), (job, "b"), (lambda: afterwards.append(1), "ab")], 2)
    assert not afterwards


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="threads cannot be held to cores")
def test_threads_keep_to_a_core_each_and_only_meanwhile():
    before, seen = os.sched_getaffinity(0), []
    together = threading.Barrier(len(before))

    def job():
        together.wait(timeout=30)
        seen.append((threading.get_ident(), tuple(os.sched_getaffinity(0))))

    if len(before) == 1:
        pytest.skip("there is one core only")
    run([(job, ())] * len(before), len(before))
    assert sorted(cores for _, cores in seen) == [(core,) for core in sorted(before)]
    seen.clear()
    run([(job, ())] * len(before) + [(lambda: None, ())], len(before) + 1)
    assert {cores for _, cores in seen} == {tuple(before)}
    assert os.sched_getaffinity(0) == before


def test_several_threads_may_call_at_once(small_tiles, QKV):
    before, results = blas_threads(), []
    callers = [
        threading.Thread(target=lambda: results.append(both(QKV, causal=True, threads=2)[0]))
        for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    expected = both(QKV, causal=True, threads=1)[0]
    assert len(results) == 4
    for found in results:
        for got, want in zip(found, expected, strict=True):
            assert_array_equal(got, want)
    assert blas_threads() == before


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system cannot fork")
def test_works_after_fork():
    """The child has neither the parent's pool nor, were it forked in mid-call, its BLAS limit."""
    code = """
        import os, warnings
        import numpy as np
        from npattn.kernels.tiling import threads
        from npattn.kernels.tiling.blas_limit import blas_limit
        from npattn.kernels.tiling.tiled import tiled_attention
        warnings.simplefilter("ignore")
        X = np.random.default_rng(0).standard_normal((4, 600, 8))
        expected, _ = tiled_attention(X, X, X, threads=2)
        before = threads.thread_count()
        with blas_limit.one():
            child = os.fork()
            if child == 0:
                O, _ = tiled_attention(X, X, X, threads=2)
                os._exit(not (np.array_equal(O, expected) and threads.thread_count() == before))
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        print("as it should be")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "as it should be\n", done.stderr


def test_thread_count(monkeypatch):
    monkeypatch.delenv("NPATTN_THREADS", raising=False)
    assert thread_count(3) == 3
    assert thread_count() == max(blas_threads().values())
    monkeypatch.setenv("NPATTN_THREADS", "5")
    assert thread_count() == 5
    assert thread_count(2) == 2
    monkeypatch.setenv("NPATTN_THREADS", "many")
    with pytest.raises(ValueError, match="NPATTN_THREADS must be a positive integer, got 'many'"):
        thread_count()


# ---- errors ----


def test_shapes_that_disagree(draw):
    Q, K, V = draw(2, 4, 6), draw(2, 5, 6), draw(2, 5, 7)
    with pytest.raises(ValueError, match=r"^Dk is 6 in Q, 5 in K: got .* K \(2, 5, 5\)"):
        tiled_attention(Q, K[..., :5], V)
    with pytest.raises(ValueError, match="Tk is 5 in K, 4 in V"):
        tiled_attention(Q, K, V[:, :4])
    with pytest.raises(ValueError, match="leading axes that do not broadcast"):
        tiled_attention(np.concatenate([Q, Q[:1]]), K, V)
    _, cache = tiled_attention(Q, K, V)
    with pytest.raises(ValueError, match=r"dO \(2, 4, 6\).*O \(2, 4, 7\)"):
        tiled_attention_backward(Q, cache)
    with pytest.raises(ValueError, match=r"dL \(2, 5\).*L \(2, 4\)"):
        tiled_attention_backward(draw(2, 4, 7), cache, draw(2, 5))
    with pytest.raises(ValueError, match=r"^Dv is 7 in O1, 6 in O2: got O1 \(2, 4, 7\)"):
        merge_partials((draw(2, 4, 7), draw(2, 4)), (draw(2, 4, 6), draw(2, 4)))


def test_types(draw):
    Q, K, V = draw(2, 4, 6), draw(2, 5, 6), draw(2, 5, 7)
    for i, name in enumerate("QKV"):
        QKV = [Q, K, V]
        QKV[i] = QKV[i].astype(complex)
        with pytest.raises(TypeError, match=f"{name} is complex128.*use `attention` instead"):
            tiled_attention(*QKV)
    _, cache = tiled_attention(Q, K, V)
    with pytest.raises(TypeError, match="O is float64"):
        tiled_attention_backward(np.zeros((2, 4, 7), "f"), cache, np.zeros((2, 4), "f"))
    for dO, dL in ((0j, 0.0), (0.0, 0j)):
        with pytest.raises(TypeError, match="is complex128.*use `attention` instead"):
            tiled_attention_backward(draw(2, 4, 7) + dO, cache, draw(2, 4) + dL)
    with pytest.raises(TypeError, match="V must be float32 or float64, got int64"):
        tiled_attention(Q, K, V.astype(np.int64))
    with pytest.raises(TypeError, match="one precision"):
        tiled_attention(Q, K.astype(np.float32), V)
    with pytest.raises(TypeError, match="dL is float32"):
        tiled_attention_backward(draw(2, 4, 7), tiled_attention(Q, K, V)[1], np.zeros((2, 4), "f"))


@pytest.mark.parametrize(
    "error, message, options",
    [
        (TypeError, "mask must be a boolean array.*float64", {"mask": np.ones((4, 5))}),
        (ValueError, r"mask \(3, 5\) does not .*\(2, 4, 5\)", {"mask": np.ones((3, 5), bool)}),
        (TypeError, "valid_lens must be integers, got float64", {"valid_lens": np.ones(2)}),
        (ValueError, r"valid_lens must lie in 0 … 5, got 1 … 6", {"valid_lens": [1, 6]}),
        (ValueError, r"valid_lens must lie in 0 … 5, got -1 … 3", {"valid_lens": [-1, 3]}),
        (ValueError, r"valid_lens must be \(B,\) or \(B, Tq\).*\(3,\)", {"valid_lens": [1, 2, 3]}),
        (TypeError, "causal must be True or False, got 1", {"causal": 1}),
        (ValueError, "window must be at least 1, got 0", {"window": 0}),
        (TypeError, "window must be an integer, got 1.5", {"window": 1.5}),
        (TypeError, "offset must be an integer, got 0.5", {"causal": True, "offset": 0.5}),
        (ValueError, r"dropout rate must lie in \[0, 1\), got 1.0", {"dropout": 1.0}),
        (TypeError, "rng must be a numpy.random.Generator", {"dropout": 0.5, "rng": 3}),
        (ValueError, "threads must be a positive integer, got 0", {"threads": 0}),
    ],
)
def test_options_that_do_not_fit(draw, error, message, options):
    with pytest.raises(error, match=message):
        tiled_attention(draw(2, 4, 6), draw(2, 5, 6), draw(2, 5, 7), **options)


# ---- tiles ----


@pytest.mark.parametrize("cache, shapes", [
    (2**19, [(32, 32, 128), (256, 512, 256), (512, 256, 128)]),
    (2**20, [(32, 32, 256), (256, 1024, 512), (512, 512, 256)]),
])
def test_a_tile_fills_the_cache_and_short_heads_share_one(cache, shapes, monkeypatch):
    monkeypatch.setattr(tiles, "tile_bytes", lambda: cache)
    (queries, keys, heads), *large = shapes
    assert tiles.tile_shape(queries, keys, 4) == (heads, queries, keys)
    for free, (most, single, double) in enumerate(large):
        assert tiles.tile_shape(4096, 4096, 4, free) == (1, most, single)
        assert tiles.tile_shape(4096, 4096, 8, free) == (1, most, double)


def test_heads_that_share_a_tile_leave_some_for_others(draw, monkeypatch):
    monkeypatch.setattr(driver, "tile_shape", lambda *sizes: (5, 3, 4))
    shapes = set()
    for N, heads in ((1, 1), (7, 1), (16, 4), (40, 5)):
        _, cache = tiled_attention(draw(N, 3, 2), draw(N, 4, 2), draw(N, 4, 2))
        for on_patches in (driver.on_rows, driver.on_squares):
            shapes.clear()
            on_patches(lambda flat, shape, *patch: shapes.add(shape), cache)
            assert shapes == {(heads, 3, 4)}


@pytest.fixture
def dealt(monkeypatch):
    """What `run` is given: how many threads, and the places of each job."""
    calls = []

    def noted(jobs, threads):
        calls.append((threads, [places for _, places in jobs]))
        run(jobs, threads)

    monkeypatch.setattr(driver, "run", noted)
    return calls


@pytest.mark.parametrize("sizes, expected", [
    ((1, 256, 256), 3), ((1, 256, 255), 1), ((4, 128, 128), 3), ((4, 64, 255), 1),
    ((64, 2, 512), 3), ((512, 32, 4), 3), ((1, 2**16, 1), 3),
])
def test_threads_share_no_less_than_65536_scores(draw, dealt, sizes, expected):
    N, Tq, Tk = sizes
    tiled_attention(draw(N, Tq, 1), draw(N, Tk, 1), draw(N, Tk, 1), threads=3)
    assert [threads for threads, _ in dealt] == [expected]


def test_heads_of_queries_that_share_keys_say_so(draw, dealt):
    O, cache = tiled_attention(draw(3, 4, 2), draw(1, 5, 2), draw(1, 5, 2))
    tiled_attention_backward(O, cache)
    places = [{place[:2] for place in job} for job in dealt[1][1]]
    assert sorted(map(sorted, places)) == [[("keys", 0), ("queries", n)] for n in range(3)]


def test_the_backward_has_tiles_of_the_size_of_the_forward(draw, monkeypatch):
    monkeypatch.setattr(driver, "tile_shape", lambda *sizes: (1, 3, 4))
    _, cache = tiled_attention(draw(1, 24, 2), draw(1, 9, 2), draw(1, 9, 2))
    sizes, tiles_of = [], driver.Reach.tiles

    def noted(self, heads, rows, keys, size):
        sizes.append((rows.stop - rows.start, size))
        return tiles_of(self, heads, rows, keys, size)

    monkeypatch.setattr(driver.Reach, "tiles", noted)
    tiled_attention_backward(draw(1, 24, 2), cache)
    assert set(sizes) == {(3, 4)}


def test_rooms_are_aligned_apart_and_as_large_as_a_tile_with_some_spare():
    rooms = Scratch().rooms
    assert [room.size for room in rooms] == [tiles.tile_bytes() + 2**16] * 4
    assert not any(room.ctypes.data % 64 for room in rooms)
    assert not any(np.shares_memory(*pair) for pair in combinations(rooms, 2))


def test_a_product_lies_in_its_room_row_by_row_or_turned(draw):
    scratch, A, B = Scratch(), draw(2, 3, 4), draw(1, 4, 5)
    for (left, right), turned in product(((A, B), (B.swapaxes(1, 2), A.swapaxes(1, 2))), (0, 1)):
        X = scratch.product(1, left, right, **({"turned": True} if turned else {}))
        assert_allclose(X, left @ right, rtol=1e-12, atol=1e-12)
        assert np.shares_memory(X, scratch.rooms[1])
        assert (X.swapaxes(1, 2) if turned else X).flags.c_contiguous
        Y = scratch.like(2, X)
        assert Y.strides == X.strides and Y.shape == X.shape
        assert np.shares_memory(Y, scratch.rooms[2])


def test_what_does_not_fit_into_a_room_lies_elsewhere(draw):
    scratch, byte = Scratch(), np.dtype(np.uint8)
    size = scratch.rooms[0].size
    assert scratch.place(0, 1, 1, size, byte).size == size
    assert scratch.place(0, 1, 1, size + 1, byte) is None
    A, B = np.ones((1, size // 8 // 4 + 1, 1)), np.ones((1, 1, 4))
    assert not np.shares_memory(scratch.product(0, A, B), scratch.rooms[0])
    assert scratch.like(0, A @ B).shape == (1, len(A[0]), 4)


@pytest.mark.parametrize("cache, sizes, shape", [
    (2**20, (1, 1, 8), (2**17, 1, 1)), (2**20, (0, 0, 8), (2**17, 1, 1)),
    (2**12, (256, 64, 8), (1, 256, 64)), (2**12, (256, 65, 8), (1, 256, 64)),
    (2**20, (4096, 8, 4), (1, 512, 8)), (2**20, (8, 40_000, 4), (1, 8, 2**15)),
])
def test_a_tile_has_at_least_a_query_and_64_keys_where_there_are(cache, sizes, shape, monkeypatch):
    monkeypatch.setattr(tiles, "tile_bytes", lambda: cache)
    assert tiles.tile_shape(*sizes) == shape
    assert tiles.tile_shape(4096, 4096, 4) == tiles.tile_shape(4096, 4096, 4, True)


@pytest.mark.parametrize("told, size", [("512K", 2**19), ("1024K", 2**20), ("4096K", 2**20),
                                        ("?", 2**20)])
def test_a_tile_fills_the_second_level_cache(told, size, monkeypatch):
    monkeypatch.setattr(tiles, "open", lambda path: io.StringIO(told + "\n"), raising=False)
    assert tiles.tile_bytes.__wrapped__() == size


def test_patches_come_in_their_order():
    rows = [(heads.start, rows.start) for (heads, rows, _), _ in row_patches(3, 9, 5, (2, 3, 4))]
    assert rows == [(0, 6), (0, 3), (0, 0), (2, 6), (2, 3), (2, 0)]
    patches = [patch for patch, _ in latin_patches(1, 16, 16, (1, 4, 4))]
    turns = [(keys.start - rows.start) // 4 % 4 for _, rows, keys in patches]
    assert turns == [1] * 4 + [2] * 4 + [3] * 4 + [0] * 4


def test_the_seed_of_a_dropout_is_the_first_number_of_its_generator():
    seed = tiles.draw_seed(0.5, np.random.default_rng(5))
    assert seed == np.random.default_rng(5).integers(2**63)


def test_no_tile_is_larger_than_a_mebibyte():
    assert 2**16 <= tiles.tile_bytes() <= tiles.LARGEST == 2**20


def test_a_diagonal_has_four_patches_and_their_keys_are_whole_tiles():
    patches = [patch for patch, _ in latin_patches(1, 16, 24, (1, 2, 8))]
    assert {(rows.start, rows.stop) for _, rows, _ in patches} == {
        (0, 4), (4, 8), (8, 12), (12, 16)
    }
    assert {(keys.start, keys.stop) for *_, keys in patches} == {(0, 8), (8, 16), (16, 24)}
    assert len(patches) == 12 and patches[-1][1:] == (slice(8, 12), slice(16, 24))
    patches = [patch for patch, _ in latin_patches(3, 5, 9, (2, 4, 2))]
    assert {(heads.start, heads.stop) for heads, *_ in patches} == {(0, 2), (2, 3)}
    assert {(rows.start, rows.stop) for _, rows, _ in patches} == {(0, 4), (4, 5)}
    assert {(keys.start, keys.stop) for *_, keys in patches} == {(0, 4), (4, 8), (8, 9)}
    patches = [patch for patch, _ in latin_patches(8, 9000, 2048, (1, 256, 64))]
    assert {rows.stop - rows.start for _, rows, _ in patches} == {1024, 9000 - 8 * 1024}
    patches = [patch for patch, _ in latin_patches(8, 16, 16, (1, 2, 2), apart=1)]
    assert {rows.stop - rows.start for _, rows, _ in patches} == {4}


@pytest.mark.parametrize("keys, bias", [((), None), ((4,), None), ((4, 2), (1, 1)), ((1,), (1,))])
def test_where_heads_share_sums_no_thread_waits_for_the_others(keys, bias, draw, monkeypatch):
    """Of four threads each has something to do: the longest chain is a quarter of all jobs."""
    lead = (4, 2) if len(keys) == 2 else (4,)
    Q, dO, K = draw(*lead, 64, 2), draw(*lead, 64, 2), draw(*(keys or (1,)), 64, 2)
    seen = []
    monkeypatch.setattr(driver, "tile_shape", lambda *_: (1, 8, 8))
    monkeypatch.setattr(driver, "run", lambda jobs, threads: (seen.append(jobs), run(jobs, 1)))
    cache = tiled_attention(Q, K, K, bias=None if bias is None else draw(*bias, 64, 64))[1]
    tiled_attention_backward(dO, cache)
    lengths = {}
    for _, sums in seen[-1]:
        lengths |= dict.fromkeys(sums, 1 + max(lengths.get(one, 0) for one in sums))
    assert max(lengths.values()) <= len(seen[-1]) // 4


def test_weights_lose_nothing_to_the_rounding_of_a_large_normalizer():
    # All scores are 64, exactly, so that all weights are 1 / Tk; L = 64 + log Tk is rounded by
    # up to 4e-6 in float32, which would be the relative error of the weights.
    Q, error = np.full((3, 1), 64, np.float32), []
    for Tk in range(2, 60):
        K, V = np.ones((Tk, 1), np.float32), np.ones((Tk, 2), np.float32)
        O, cache = tiled_attention(Q, K, V, scale=1.0)
        _, _, dV = tiled_attention_backward(np.ones_like(O), cache)
        error.append(np.abs(dV.astype(float) * Tk / 3 - 1).max())
    assert max(error) < 6e-7
