"""Tiled attention with grouped heads, a bias, a soft cap, a sink, windows and offsets."""

import itertools
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.masks import causal_mask, combine_masks, valid_lens_mask
from npattn.kernels.positional_masks import window_mask
from npattn.kernels.alibi import alibi_bias, alibi_slopes
from npattn.kernels.sums import unbroadcast
from npattn.kernels.tiling import driver, tiles
from npattn.kernels.tiling.restrictions import reach_of
from npattn.kernels.tiling.score_arguments import steps_of
from npattn.kernels.tiling.score_steps import NO_STEPS
from npattn.kernels.tiling.sharing import owners, taken
from npattn.kernels.tiling.tiled import tiled_attention, tiled_attention_backward
from npattn.models.scored_attention import scored_attention, scored_attention_backward

B, G, R, TQ, TK, DK, DV = 2, 3, 2, 37, 50, 6, 7
LEAD = B, G, R


@pytest.fixture(params=["small", "shared", "real"])
def tile_size(monkeypatch, request):
    """Tiles of one head and a few keys; of some heads each; and those of real calls."""
    if request.param != "real":
        shape = (1, 16, 24) if request.param == "small" else (4, TQ, TK)
        monkeypatch.setattr(driver, "tile_shape", lambda *sizes: shape)
        monkeypatch.setattr(tiles, "PATCH", 32)
        monkeypatch.setattr(driver, "WORTH_THREADS", 0)


@pytest.fixture
def QKV(draw):
    return draw(*LEAD, TQ, DK), draw(B, G, 1, TK, DK), draw(B, G, 1, TK, DV)


def both(QKV, mask=None, bias=None, sink=None, **options):
    """O, dQ, dK, dV, and dbias and dsink where there are such."""
    O, cache = tiled_attention(*QKV, mask, bias, sink, **options)
    dO = np.random.default_rng(1).standard_normal(O.shape).astype(O.dtype)
    return (O, *tiled_attention_backward(dO, cache)), cache


def plain(QKV, mask=None, bias=None, sink=None, **options):
    lead = np.broadcast_shapes(*(X.shape[:-2] for X in QKV))
    Q = np.broadcast_to(QKV[0], (*lead, *QKV[0].shape[-2:]))
    O, cache = scored_attention(Q, *QKV[1:], mask, bias, sink, **options)
    dO = np.random.default_rng(1).standard_normal(O.shape).astype(O.dtype)
    dQ, *rest = scored_attention_backward(dO, cache)
    return O, unbroadcast(dQ, QKV[0]), *rest


def assert_same(found, expected, tolerance=1e-12):
    assert len(found) == len(expected)
    for got, want in zip(found, expected, strict=True):
        assert got.shape == want.shape and got.dtype == want.dtype
        assert_array_equal(np.isnan(got), np.isnan(want))
        size = np.nanmax(np.abs(want), initial=1.0)
        assert_allclose(got, want, rtol=0.0, atol=tolerance * size)


def lens_mask(lens, Tk):
    return valid_lens_mask(lens, Tk)[:, None, None]


RESTRICTIONS = {
    "none": ({}, None),
    "window (left, right)": ({"window": (7, 3)}, window_mask(TQ, TK, left=7, right=3)),
    "window (left, None)": ({"window": (4, None)}, window_mask(TQ, TK, left=4)),
    "window (None, 0)": ({"window": (None, 0), "offset": 9}, causal_mask(TQ, TK, offset=9)),
    "a window that empties rows": (
        {"window": (2, 1), "offset": 30}, window_mask(TQ, TK, left=2, right=1, offset=30)),
    "offsets": (
        {"causal": True, "offset": np.array([-5, 13])},
        causal_mask(TQ, TK, offset=np.array([-5, 13]))[:, None, None]),
    "offsets, a window and lengths": (
        {"window": (5, 2), "offset": np.array([3, 20]), "valid_lens": np.array([41, 30])},
        combine_masks(
            window_mask(TQ, TK, left=5, right=2, offset=np.array([3, 20]))[:, None, None],
            lens_mask(np.array([41, 30]), TK))),
}

STEPS = {
    "nothing": lambda draw: {},
    "cap": lambda draw: {"cap": 1.5},
    "bias of heads": lambda draw: {"bias": draw(G, R, TQ, TK)},
    "bias of all": lambda draw: {"bias": draw(*LEAD, TQ, TK)},
    "one bias": lambda draw: {"bias": draw(TQ, TK)},
    "bias of keys": lambda draw: {"bias": draw(B, 1, 1, 1, TK)},
    "bias of keys of heads": lambda draw: {"bias": draw(G, R, 1, TK)},
    "bias of keys under a cap": lambda draw: {"bias": draw(R, 1, TK), "cap": 1.5},
    "a number of each head": lambda draw: {"bias": draw(G, R, 1, 1)},
    "bias of queries": lambda draw: {"bias": draw(R, TQ, 1)},
    "sink": lambda draw: {"sink": draw(G, R)},
    "one sink": lambda draw: {"sink": draw()[()].reshape(1)},
    "all": lambda draw: {"cap": 2.0, "bias": draw(G, 1, TQ, TK), "sink": draw(B, 1, R)},
}


# ---- the same as the pages, composed ----


@pytest.mark.parametrize("name", ["bias of keys", "bias of keys of heads", "a number of each head",
                                  "bias of keys under a cap"])
def test_a_bias_of_keys(tile_size, QKV, draw, name):
    steps = STEPS[name](draw)
    assert_same(both(QKV, causal=True, **steps)[0], plain(QKV, causal_mask(TQ, TK), **steps))


@pytest.mark.sampled(4)
@pytest.mark.parametrize("magnitude", [1.0, pytest.param(1e4, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("restriction", RESTRICTIONS)
@pytest.mark.parametrize("steps", STEPS)
def test_agrees_with_the_steps_composed(tile_size, QKV, draw, steps, restriction, magnitude):
    options, mask = RESTRICTIONS[restriction]
    steps = STEPS[steps](draw)
    QKV = magnitude * QKV[0], *QKV[1:]
    # a product of 1e4 is rounded by 1e-12 on either way
    assert_same(
        both(QKV, threads=2, **steps, **options)[0], plain(QKV, mask, **steps), 1e-12 * magnitude)


@pytest.mark.parametrize("size", [1e3, 1e5])
@pytest.mark.parametrize("name", ["bias", "sink"])
def test_large_biases_and_sinks_leave_exp_in_range(tile_size, QKV, draw, name, size):
    shape = (G, R, TQ, TK) if name == "bias" else (G, R)
    steps = {name: size * draw(*shape)}
    found, cache = both(QKV, **steps)
    assert cache.shifted.any()
    assert_same(found, plain(QKV, **steps), 1e-15 * size)


def test_alibi_is_a_bias(tile_size, QKV):
    bias = alibi_bias(TQ, TK, alibi_slopes(G * R)).reshape(G, R, TQ, TK)
    assert_same(both(QKV, bias=bias, causal=True)[0], plain(QKV, causal_mask(TQ, TK), bias=bias))


@pytest.mark.parametrize("cap", [0.05, 30.0, 1e3])
def test_a_cap_on_scores_of_any_size(tile_size, QKV, cap):
    QKV = 300.0 * QKV[0], *QKV[1:]
    assert_same(both(QKV, cap=cap)[0], plain(QKV, cap=cap), 1e-10)


@pytest.mark.parametrize(
    "key_lead", [(), (1,), (R,), (G, 1), (G, R), (1, 1, 1), (B, 1, 1), (B, 1, R), (1, G, R), LEAD]
)
def test_any_leading_axis_of_keys_and_values_may_be_shared(tile_size, draw, key_lead):
    Q, K, V = draw(*LEAD, TQ, DK), draw(*key_lead, TK, DK), draw(*key_lead, TK, DV)
    assert_same(both((Q, K, V))[0], plain((Q, K, V)))


def test_queries_values_and_keys_may_share_different_axes(tile_size, draw):
    QKV = draw(R, TQ, DK), draw(B, 1, 1, TK, DK), draw(G, 1, TK, DV)
    assert_same(both(QKV)[0], plain(QKV))


def test_dropout_meets_every_step(tile_size, QKV, draw):
    steps = STEPS["all"](draw)
    O, cache = tiled_attention(*QKV, **steps, dropout=0.3, rng=np.random.default_rng(4))
    dO = draw(*O.shape)
    gradients = tiled_attention_backward(dO, cache)

    def loss(t, changed):  # the same seed: the same weights survive
        args = dict(zip("QKV", QKV, strict=True)) | steps
        args[changed] = args[changed] + t * direction
        O, _ = tiled_attention(**args, dropout=0.3, rng=np.random.default_rng(4))
        return (O * dO).sum()

    for name, gradient in zip(("Q", "K", "V", "bias", "sink"), gradients, strict=True):
        direction = draw(*gradient.shape)
        slope = (loss(1e-4, name) - loss(-1e-4, name)) / 2e-4
        assert_allclose((gradient * direction).sum(), slope, rtol=1e-6, atol=1e-6)


# ---- what is forbidden, and what is broken ----


@pytest.mark.parametrize("garbage", [np.nan, np.inf, -np.inf])
def test_a_bias_of_minus_infinity_forbids_as_a_mask_does(tile_size, QKV, draw, draw_mask, garbage):
    mask = draw_mask(G, R, TQ, TK)
    mask[..., [7, 40]] = False
    bias = draw(G, R, TQ, TK)
    Q, K, V = (X.copy() for X in QKV)
    K[..., 7, 2] = V[..., 40, 3] = garbage
    found, _ = both((Q, K, V), bias=np.where(mask, bias, -np.inf))
    assert_same(found, plain(QKV, bias=np.where(mask, bias, -np.inf)))
    assert not found[4][~mask].any()


@pytest.mark.parametrize("cap", [None, 1.5])
@pytest.mark.parametrize("garbage", [np.nan, np.inf, 1e300])
def test_padding_may_be_told_by_a_bias_of_keys(tile_size, QKV, draw, garbage, cap):
    bias, (Q, K, V) = draw(B, 1, 1, 1, TK), (X.copy() for X in QKV)
    bias[..., [7, 40]] = -np.inf
    K[..., 7, 2] = V[..., 40, 3] = garbage
    assert_same(both((Q, K, V), bias=bias, cap=cap)[0], plain(QKV, bias=bias, cap=cap))


@pytest.mark.parametrize("steps", ["cap", "bias of heads", "sink", "all"])
def test_a_broken_key_reaches_only_those_who_may_attend_to_it(tile_size, QKV, draw, steps):
    Q, K, V = (X.copy() for X in QKV)
    K[1, 2, 0, 30] = np.nan
    steps = STEPS[steps](draw)
    (O, *_), _ = both((Q, K, V), causal=True, **steps)
    sound = both(QKV, causal=True, **steps)[0][0]
    broken = np.zeros((*LEAD, TQ), bool)
    broken[1, 2, :, 30:] = True
    assert np.isnan(O[broken]).all()
    assert_same([O[~broken]], [sound[~broken]])


def test_a_broken_bias_reaches_only_its_own_row(tile_size, QKV, draw):
    bias = draw(G, R, TQ, TK)
    bias[1, 0, 5, 9] = np.nan
    (O, *_), _ = both(QKV, bias=bias)
    assert np.isnan(O[:, 1, 0, 5]).all() and np.isnan(O).sum() == B * DV
    bias[1, 0, 5, 9] = np.inf
    assert np.isnan(both(QKV, bias=bias)[0][0]).sum() == B * DV


def test_a_query_without_keys_gives_its_sink_nothing(tile_size, QKV, draw):
    found, _ = both(QKV, sink=draw(G, R), valid_lens=np.array([0, 20]))
    for X in found[:4]:
        assert not X[0].any()
    assert both(QKV, sink=draw(G, R), valid_lens=np.array([0, 0]))[0][4].tolist() == \
        np.zeros((G, R)).tolist()


def test_a_sink_of_minus_infinity_is_none(tile_size, QKV):
    found, _ = both(QKV, sink=np.array([-np.inf]), causal=True)
    assert_same(found[:4], both(QKV, causal=True)[0])
    assert found[4] == 0.0


# ---- precision, memory, threads ----


@pytest.mark.parametrize("steps", ["nothing", "cap", "sink", "all"])
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_halves_are_computed_in_single_and_rounded_once(QKV, draw, name, steps):
    if name == "bfloat16":
        half = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed").bfloat16
    else:
        half = np.float16

    def rounded(X, dtype=half):
        return X.astype(dtype) if isinstance(X, np.ndarray) else X

    halves = {name: rounded(X) for name, X in STEPS[steps](draw).items()}
    singles = {name: rounded(X, np.float32) for name, X in halves.items()}
    QKV = [rounded(X) for X in QKV]
    single_QKV = [rounded(X, np.float32) for X in QKV]
    O, cache = tiled_attention(*QKV, **halves, causal=True)
    expected, other = tiled_attention(*single_QKV, **singles, causal=True)
    dO = rounded(draw(*O.shape))
    found = O, *tiled_attention_backward(dO, cache)
    wanted = expected, *tiled_attention_backward(rounded(dO, np.float32), other)
    for got, want in zip(found, wanted, strict=True):
        assert got.dtype == half and want.dtype == np.float32
        assert_array_equal(got, want.astype(half))


@pytest.mark.parametrize("steps", STEPS)
def test_single_precision_errs_no_more_than_the_steps_composed(QKV, draw, steps):
    QKV = [X.astype(np.float32) for X in QKV]
    steps = {name: X if name == "cap" else X.astype(np.float32)
             for name, X in STEPS[steps](draw).items()}

    def wide(X):
        return X.astype(np.float64) if isinstance(X, np.ndarray) else X

    exact = plain([wide(X) for X in QKV], **{name: wide(X) for name, X in steps.items()})

    def error(results):
        return [np.linalg.norm(X - Y) / max(1.0, np.linalg.norm(Y))  # a gradient may be 0
                for X, Y in zip(results, exact, strict=True)]

    ours, composed = error(both(QKV, **steps)[0]), error(plain(QKV, **steps))
    assert np.mean(ours) < 3 * np.mean(composed) and max(ours) < 5e-6  # sums of other order


@pytest.mark.parametrize("steps", STEPS)
def test_the_number_of_threads_changes_no_bit(tile_size, QKV, draw, steps):
    steps = STEPS[steps](draw)
    alone, many = (both(QKV, threads=n, causal=True, **steps)[0] for n in (1, 3))
    for one, other in zip(alone, many, strict=True):
        assert_array_equal(one, other)


def peak(**options):
    """Bytes beyond arguments, outputs and gradients, of the worst of both directions."""
    rng = np.random.default_rng(0)
    Q, dO = (rng.standard_normal((2, 4, 1536, 32), dtype=np.float32) for _ in range(2))
    K, V = (rng.standard_normal((2, 1, 1536, 32), dtype=np.float32) for _ in range(2))
    small = [X[..., :64, :] for X in (Q, K, V)]
    tiled_attention_backward(dO[..., :64, :], tiled_attention(*small)[1])
    tracemalloc.start()
    O, cache = tiled_attention(Q, K, V, threads=2, **options)
    forward = tracemalloc.get_traced_memory()[1] - O.nbytes
    tracemalloc.reset_peak()
    gradients = tiled_attention_backward(dO, cache)
    backward = tracemalloc.get_traced_memory()[1] - O.nbytes - sum(X.nbytes for X in gradients)
    tracemalloc.stop()
    return max(forward, backward)


@pytest.mark.thorough
def test_no_option_makes_a_matrix_and_shared_keys_are_not_copied(rng):
    bias = rng.standard_normal((1, 1536, 1536), dtype=np.float32)
    sink = np.zeros(4, np.float32)
    least = peak()
    for options in (
        {"cap": 30.0}, {"sink": sink}, {"window": (200, 0), "offset": np.array([0, 5])},
        {"bias": bias}, {"cap": 30.0, "bias": bias, "sink": sink, "causal": True},
    ):
        assert peak(**options) < least + 2**21  # the scores of all heads would be 72 MiB


# ---- errors ----


@pytest.mark.parametrize(
    "error, message, options",
    [
        (ValueError, "cap must be positive, such as 50.0, got 0.0", {"cap": 0.0}),
        (ValueError, "cap must be positive.*got nan", {"cap": np.nan}),
        (TypeError, "cap must be a number, got '30'", {"cap": "30"}),
        (ValueError, r"bias \(3, 5\) does not broadcast to \(2, 4, 5\)",
         {"bias": np.zeros((3, 5))}),
        (TypeError, "bias must be float32 or float64, got int64", {"bias": np.zeros((4, 5), int)}),
        (TypeError, "bias is float32", {"bias": np.zeros((4, 5), "f")}),
        (ValueError, r"sink \(3,\) does not broadcast to \(2,\).*one for each head",
         {"sink": np.zeros(3)}),
        (ValueError, r"sink \(2, 2\) does not broadcast", {"sink": np.zeros((2, 2))}),
        (ValueError, r"window \(left, right\) must be 0 or more", {"window": (-1, 3)}),
        (ValueError, r"window must be an integer or \(left, right\)", {"window": (1, 2, 3)}),
        (TypeError, "window must be an integer, got 0.5", {"window": (0.5, None)}),
        (ValueError, r"offset must be one integer, or \(B,\).*\(3,\)",
         {"causal": True, "offset": np.arange(3)}),
        (TypeError, "offset must be an integer or an array", {"offset": np.zeros(2)}),
    ],
)
def test_options_that_do_not_fit(draw, error, message, options):
    with pytest.raises(error, match=message):
        tiled_attention(draw(2, 4, 6), draw(2, 5, 6), draw(2, 5, 7), **options)


def test_owners_count_the_shared_heads():
    assert owners((2, 1, 3), (2, 2, 3)).tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]
    assert owners((), (2, 2)).tolist() == [0] * 4
    assert owners((1, 1), (1, 1)) is None
    every = [(lead, whole) for whole in itertools.product((1, 2), repeat=2)
             for lead in itertools.product((1, 2), repeat=2) if all(map(int.__le__, lead, whole))]
    for lead, whole in every:
        numbers = np.arange(np.prod(lead)).reshape(lead)
        found = owners(lead, whole)
        assert_array_equal(
            np.arange(np.prod(whole)) if found is None else found,
            np.broadcast_to(numbers, whole).ravel())


@pytest.mark.parametrize("bias", [(2, 2), (2, 1), (1, 2), (1, 1), (R, 2, 2)])
def test_a_bias_of_two_queries_and_two_keys(draw, bias):
    QKV, bias = (draw(R, 2, 3), draw(R, 2, 3), draw(R, 2, 4)), draw(*bias)
    assert_same(both(QKV, bias=bias)[0], plain(QKV, bias=bias))


@pytest.mark.parametrize("shape", [(), (1,), (TK,)])
def test_a_bias_may_have_less_than_two_axes(QKV, draw, shape):
    bias = np.asarray(draw(*shape))
    assert_same(both(QKV, bias=bias)[0], plain(QKV, bias=bias))


@pytest.mark.parametrize("N, Tq, Tk", [(0, 3, 4), (2, 0, 4), (2, 3, 0)])
@pytest.mark.parametrize("size", [1.0, 1e5])
def test_empty_axes_beside_a_bias_and_a_sink_of_any_size(draw, N, Tq, Tk, size):
    QKV = draw(N, Tq, DK), draw(N, Tk, DK), draw(N, Tk, DV)
    for bias in (None, (Tq, Tk), (1, Tk), (Tq, 1)):
        for sink in ((N,), (1,)):
            steps = {"bias": size * draw(*bias)} if bias else {}
            steps["sink"] = size * draw(*sink)
            assert_same(both(QKV, **steps)[0], plain(QKV, **steps))


def test_heads_are_taken_without_a_copy_where_they_share_one(draw):
    X, owner = draw(3, 4, 2), np.array([0, 0, 2, 1])
    for heads in (slice(0, 2), slice(1, 3), slice(0, 3), slice(1, 4), slice(2, 3)):
        part = taken(X, owner, heads, slice(1, 3))
        assert_array_equal(*np.broadcast_arrays(part, X[owner[heads], 1:3]))
    assert np.shares_memory(taken(X, owner, slice(0, 2), slice(1, 3)), X)
    assert taken(X, owner, slice(0, 2)).shape == (1, 4, 2)


@pytest.mark.parametrize("bias, by_query", [((2, 2), True), ((1, 5), False), ((5, 1), False),
                                            ((1, 1), False), ((3, 4, 5), True), (None, False)])
def test_tiles_lie_query_by_query_where_the_bias_is_a_matrix(draw, bias, by_query):
    shape = (3, *(bias or (4, 5))[-2:])
    steps = steps_of(shape, np.dtype(float), bias=None if bias is None else draw(*bias))
    assert steps.by_query == by_query
    assert steps.natural(False) == (bias is not None and bias[-2] > 1)
    _, cache = tiled_attention(draw(3, shape[1], 2), draw(3, shape[2], 2), draw(3, shape[2], 2),
                               None, steps.bias)
    assert cache.reach.by_query == by_query


def test_no_options_are_no_steps():
    assert steps_of((3, 4, 5), np.dtype(float)) == NO_STEPS == (None,) * 5 + (False,)
    assert not NO_STEPS.natural(False) and not NO_STEPS.natural(True)
    cap = steps_of((3, 4, 5), np.dtype(float), cap=2.0)
    assert cap.natural(True) and not cap.natural(False)


def test_no_score_is_larger_than_the_bound():
    S, bias = np.array([[1.0, 50.0, np.inf]]), np.array([[-2.0], [3.0], [4.0]])
    sink, kind = np.array([-7.0]), np.dtype(float)
    assert steps_of((1, 3, 2), kind, 30.0).bound(S).tolist() == [[1.0, 30.0, np.inf]]
    assert steps_of((1, 3, 2), kind, None, bias).bound(S).tolist() == [[3.0, 53.0, np.inf]]
    assert steps_of((1, 3, 2), kind, None, None, sink).bound(S).tolist() == [[7.0, 50.0, np.inf]]


@pytest.mark.parametrize("magnitude", [1.0, 1e4])
def test_a_sink_of_minus_infinity_is_none_beside_scores_of_any_size(QKV, magnitude):
    QKV = magnitude * QKV[0], *QKV[1:]
    *found, dsink = both(QKV, sink=np.full((G, R), -np.inf))[0]
    assert_same(found, both(QKV)[0])
    assert_array_equal(dsink, np.zeros((G, R)))
    *_, dsink = both(QKV, sink=np.full((G, R), -np.inf), valid_lens=np.array([0, 3]))[0]
    assert_array_equal(dsink, np.zeros((G, R)))


@pytest.mark.parametrize("name, shape", [("bias", (TQ, TK)), ("sink", (R,))])
def test_a_bias_and_a_sink_have_the_precision_of_the_queries(QKV, name, shape):
    for dtype in (np.float32, np.int64, np.complex128):
        with pytest.raises(TypeError, match=name):
            tiled_attention(*QKV, **{name: np.zeros(shape, dtype)})


def test_each_sequence_may_have_an_offset_of_its_own():
    reach = reach_of((2, 3), 5, causal=True, offset=np.array([0, 3]))
    assert reach.stop.tolist() == [[1, 2, 3], [4, 5, 5]]
    for shape, offset in (((3,), np.arange(3)), ((2, 3), np.arange(3)), ((2, 3), np.arange(1))):
        with pytest.raises(ValueError, match=r"^offset must be one integer, or \(B,\) for "):
            reach_of(shape, 5, causal=True, offset=offset)
    for shape, lens in (((3,), [1, 2, 3]), ((2, 3), [1, 2, 3]), ((2, 3), [[1, 2, 3]])):
        with pytest.raises(ValueError, match=r"^valid_lens must be \(B,\) or \(B, Tq\) for "):
            reach_of(shape, 5, valid_lens=lens)
