"""Multi-head attention."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.attention import attention
from npattn.kernels.linear import LinearParams, linear
from npattn.kernels.masks import causal_mask, valid_lens_mask
from npattn.models.adapting import frozen
from npattn.models.head_extras import Rotary
from npattn.models.multihead import (
    MultiHeadParams, cross_attention, cross_attention_backward, init_multihead,
    multihead_attention, multihead_attention_backward, self_attention, self_attention_backward,
)
from npattn.trees import tree_items, tree_leaves, tree_map


@pytest.fixture
def sources(draw):
    """Xq (2, 4, 7), Xk (2, 5, 3), Xv (2, 5, 8): each from a source of its own width."""
    return draw(2, 4, 7), draw(2, 5, 3), draw(2, 5, 8)


@pytest.fixture
def make_params(rng, shake):
    """Parameters of width 6 for these sources, no bias 0."""
    return lambda **options: shake(init_multihead(6, rng, Dq=7, Dk=3, Dv=8, **options))


# ---- values ----


def test_one_head_with_unit_projections_is_attention(draw, draw_mask):
    Q, K, V, mask = draw(2, 4, 6), draw(2, 5, 6), draw(2, 5, 6), draw_mask(2, 4, 5)
    unit = LinearParams(np.eye(6), None)
    params = MultiHeadParams(unit, unit, unit, None)
    Y, cache = multihead_attention(Q, K, V, params, mask, num_heads=1)
    O, attention_cache = attention(Q, K, V, mask)
    assert_allclose(Y, O, rtol=1e-14)
    assert_allclose(cache.attention.P[:, 0], attention_cache.P, rtol=1e-14)


@pytest.mark.parametrize("num_heads", [1, 2, 3, 6])
def test_heads_attend_side_by_side(sources, make_params, draw_mask, num_heads):
    params, mask, width = make_params(), draw_mask(2, 4, 5), 6 // num_heads
    Q, K, V = (linear(X, layer)[0] for X, layer in zip(sources, params, strict=False))
    columns = [slice(h * width, (h + 1) * width) for h in range(num_heads)]
    heads = [attention(Q[..., c], K[..., c], V[..., c], mask)[0] for c in columns]
    expected = np.concatenate(heads, axis=-1) @ params.output.W + params.output.b
    Y, _ = multihead_attention(*sources, params, mask, num_heads=num_heads)
    assert_allclose(Y, expected, rtol=0, atol=1e-13)


def test_shapes_of_the_text(rng, draw):
    params = init_multihead(100, rng, bias=False)
    X, Y = draw(2, 4, 100), draw(2, 6, 100)
    out, cache = multihead_attention(X, Y, Y, params, valid_lens_mask([3, 2], 6), num_heads=5)
    assert out.shape == (2, 4, 100)
    assert cache.attention.P.shape == (2, 5, 4, 6)
    assert_array_equal((cache.attention.P > 0).sum(axis=-1)[:, 0, 0], [3, 2])
    assert cache.attention.scale == pytest.approx(20**-0.5)


def test_initial_parameters(rng):
    params = init_multihead(6, rng, Dq=7, Dk=3, Dv=8, dtype=np.float32)
    assert [(path, X.shape) for path, X in tree_items(params)] == [
        ("query.W", (7, 6)), ("query.b", (6,)), ("key.W", (3, 6)), ("key.b", (6,)),
        ("value.W", (8, 6)), ("value.b", (6,)), ("output.W", (6, 6)), ("output.b", (6,)),
    ]
    assert {X.dtype for X in tree_leaves(params)} == {np.dtype(np.float32)}
    bare = init_multihead(6, rng, bias=False, output=False)
    assert [path for path, _ in tree_items(bare)] == ["query.W", "key.W", "value.W"]


# ---- invariants ----


def test_a_mask_of_any_form_serves_every_head(sources, make_params, draw_mask):
    params, mask = make_params(), draw_mask(4, 5)

    def out(mask):
        return multihead_attention(*sources, params, mask, num_heads=3)[0]

    for same in (mask[None], np.broadcast_to(mask, (2, 4, 5)), np.broadcast_to(mask, (2, 3, 4, 5))):
        assert_array_equal(out(same), out(mask))
    for one, same in ((mask[1:2], mask[1:2][None]), (mask[1], mask[1][None, None, None])):
        assert_array_equal(out(one), out(same))


def test_a_mask_with_a_head_axis_tells_heads_apart(sources, make_params):
    params = make_params(output=False)
    mask = np.ones((2, 3, 4, 5), bool)
    mask[1, 2] = False  # in batch entry 1, head 2 hears nothing
    Y, cache = multihead_attention(*sources, params, mask, num_heads=3)
    free, _ = multihead_attention(*sources, params, num_heads=3)
    assert not Y[1, :, 4:].any()
    assert_array_equal(Y[1, :, :4], free[1, :, :4])
    assert_array_equal(Y[0], free[0])


def test_masks_work_without_a_batch_axis_and_with_two(sources, make_params, draw_mask):
    params, mask = make_params(), draw_mask(2, 4, 5)
    Y, _ = multihead_attention(*sources, params, mask, num_heads=3)
    single, _ = multihead_attention(*(X[1] for X in sources), params, mask[1], num_heads=3)
    assert_allclose(single, Y[1], rtol=0, atol=1e-14)
    stacked = (np.stack([X, X]) for X in sources)
    assert_allclose(multihead_attention(*stacked, params, mask, num_heads=3)[0], [Y, Y], atol=1e-14)


def test_only_the_order_of_queries_shows(sources, make_params, rng):
    (Xq, Xk, Xv), params = sources, make_params()
    i, j = rng.permutation(4), rng.permutation(5)
    Y, _ = multihead_attention(Xq, Xk, Xv, params, num_heads=3)
    found, _ = multihead_attention(Xq[:, i], Xk[:, j], Xv[:, j], params, num_heads=3)
    assert_allclose(found, Y[:, i], rtol=0, atol=1e-13)


def test_a_dead_query_gets_the_output_bias_and_gives_nothing(sources, make_params, draw_mask, draw):
    params, mask = make_params(), draw_mask(2, 4, 5)
    Y, cache = multihead_attention(*sources, params, mask, num_heads=3)
    assert_array_equal(Y[:, 0], np.broadcast_to(params.output.b, (2, 6)))
    dY = draw(2, 4, 6)
    dXq, *_ = multihead_attention_backward(dY, cache)
    assert not dXq[:, 0].any()
    dY[:, 1:] = 0.0  # only dead queries are asked
    *dX, dparams = multihead_attention_backward(dY, cache)
    dead = tree_map(np.any, (*dX, dparams._replace(output=None), dparams.output.W))
    assert not any(tree_leaves(dead))
    assert_allclose(dparams.output.b, dY.sum(axis=(0, 1)), rtol=1e-13)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_masked_source_cannot_leak(sources, make_params, draw, poison):
    (Xq, Xk, Xv), params = sources, make_params()
    mask, dY = valid_lens_mask([3, 0], 5), draw(2, 4, 6)
    silent = ~mask.swapaxes(-1, -2)
    poisoned = [Xq, np.where(silent, poison, Xk), np.where(silent, poison, Xv)]
    expected, expected_cache = multihead_attention(*sources, params, mask, num_heads=3)
    with np.errstate(invalid="ignore"):  # the projection of inf is the caller's
        Y, cache = multihead_attention(*poisoned, params, mask, num_heads=3)
    assert_array_equal(Y, expected)
    found = tree_leaves(multihead_attention_backward(dY, cache))
    for dX, want in zip(
        found, tree_leaves(multihead_attention_backward(dY, expected_cache)), strict=True
    ):
        assert_array_equal(dX, want)


def test_the_past_does_not_feel_the_future(rng, shake, draw):
    params, X = shake(init_multihead(6, rng)), draw(2, 5, 6)
    changed = X.copy()
    changed[:, 3:] = draw(2, 2, 6)
    Y, other = (
        multihead_attention(Z, Z, Z, params, causal_mask(5), num_heads=2)[0] for Z in (X, changed)
    )
    assert_array_equal(other[:, :3], Y[:, :3])
    assert (other[:, 3:] != Y[:, 3:]).all()


@pytest.mark.parametrize("B, Tq, Tk", [(2, 4, 0), (2, 0, 5), (0, 4, 5)])
def test_nothing_to_attend_to(make_params, B, Tq, Tk):
    params = make_params()
    sources = np.ones((B, Tq, 7)), np.ones((B, Tk, 3)), np.ones((B, Tk, 8))
    Y, cache = multihead_attention(*sources, params, num_heads=3)
    assert Y.shape == (B, Tq, 6)
    if Tk == 0:
        assert_array_equal(Y, np.broadcast_to(params.output.b, Y.shape))
    *dX, dparams = multihead_attention_backward(Y, cache)
    assert [d.shape for d in dX] == [X.shape for X in sources]
    assert not any(leaf.any() for leaf in tree_leaves(dparams._replace(output=None)))


VARIANTS = {
    "plain": ({}, {}),
    "no bias": ({"bias": False}, {}),
    "no output": ({"output": False}, {}),
    "scale": ({}, {"scale": 0.7}),
    "dropout": ({}, {"dropout": 0.4, "rng": np.random.default_rng(3)}),
}
variants = pytest.mark.parametrize("of_params, options", VARIANTS.values(), ids=VARIANTS)


@variants
def test_convention(convention, sources, make_params, draw_mask, of_params, options):
    args = (*sources, make_params(**of_params), draw_mask(2, 4, 5))
    convention(multihead_attention, multihead_attention_backward, *args, num_heads=3, **options)


# ---- gradients ----


@variants
def test_gradients(assert_gradients, sources, make_params, draw_mask, of_params, options):
    args = (*sources, make_params(**of_params), draw_mask(2, 4, 5))
    options = {"num_heads": 3, **options}
    assert_gradients(multihead_attention, multihead_attention_backward, *args, **options)


@pytest.mark.parametrize("mask_shape", [None, (4, 5), (1, 5), (2, 3, 4, 5)])
def test_gradients_under_masks(assert_gradients, sources, make_params, draw_mask, mask_shape):
    args = (*sources, make_params(), mask_shape and draw_mask(*mask_shape))
    assert_gradients(multihead_attention, multihead_attention_backward, *args, num_heads=3)


def test_gradients_of_self_attention_are_the_sum_of_three(assert_gradients, rng, shake, draw):
    def self_attention(X, params):
        return multihead_attention(X, X, X, params, causal_mask(5), num_heads=2)

    def self_attention_backward(dY, cache):
        dXq, dXk, dXv, dparams = multihead_attention_backward(dY, cache)
        return dXq + dXk + dXv, dparams

    params = shake(init_multihead(4, rng))
    assert_gradients(self_attention, self_attention_backward, draw(2, 5, 4), params)


# ---- errors ----


@pytest.mark.parametrize("num_heads", [4, 0, -1])
def test_a_number_of_heads_that_does_not_divide(sources, make_params, num_heads):
    with pytest.raises(ValueError, match=f"num_heads={num_heads} for a width of 6"):
        multihead_attention(*sources, make_params(), num_heads=num_heads)


@pytest.mark.parametrize("mask, error, message", [
    (np.ones((2, 5), bool), ValueError, r"mask \(2, 5\) .* \(2, 3, 4, 5\)"),
    (np.ones((2, 4, 4), bool), ValueError, r"mask \(2, 1, 4, 4\) .* \(2, 3, 4, 5\)"),
    (np.ones((2, 2, 4, 5), bool), ValueError, r"mask \(2, 2, 4, 5\) .* \(2, 3, 4, 5\)"),
    (np.zeros((4, 5)), TypeError, "mask must be a boolean array .* got float64"),
    ([[True] * 5] * 4, TypeError, "mask must be a boolean array .* got list"),
])
def test_masks_that_do_not_fit(sources, make_params, mask, error, message):
    with pytest.raises(error, match=message):
        multihead_attention(*sources, make_params(), mask, num_heads=3)


def test_sources_that_do_not_fit(sources, make_params):
    (Xq, Xk, Xv), params = sources, make_params()
    with pytest.raises(ValueError, match="^Din is 3 in X, 7 in W"):
        multihead_attention(Xk, Xk, Xv, params, num_heads=3)
    with pytest.raises(ValueError, match="Tk is 5 in Xk, 4 in Xv"):
        multihead_attention(Xq, Xk, Xv[:, :4], params, num_heads=3)
    with pytest.raises(ValueError, match="leading axes that do not broadcast: got Xq"):
        multihead_attention(np.concatenate([Xq, Xq[:1]]), Xk, Xv, params, num_heads=3)
    with pytest.raises(TypeError, match="^Xq must be float32 or float64, got int64"):
        multihead_attention(Xq.astype(np.int64), Xk, Xv, params, num_heads=3)


# ---- other heads, and what stands between projections and attention ----

BIAS = np.arange(50.0).reshape(2, 5, 5) % 7 - 3.0
OPTIONS = {
    "one key head": (dict(num_kv_heads=1), dict(num_kv_heads=1)),
    "one key head and a sink": (
        dict(num_kv_heads=1, sink=True, qk_norm=True), dict(num_kv_heads=1, turn="halves")
    ),
    "a sink": (dict(sink=True), {}),
    "a sink and a cap": (dict(sink=True), dict(cap=2.0)),
    "a norm of queries and keys": (dict(qk_norm=True), {}),
    "another width of heads": (dict(head_width=5), {}),
    "rotary in halves": ({}, dict(turn="halves")),
    "rotary of a part": ({}, dict(turn=Rotary(width=2, base=100.0))),
    "a window": ({}, dict(window=(1, 0))),
    "one more key, and one of 0": (dict(extra_key=True), dict(zero_key=True)),
    "a bias on the scores": ({}, dict(score_bias=BIAS)),
    "a sink and a bias on the scores": (dict(sink=True), dict(score_bias=BIAS)),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", OPTIONS)
def test_gradients_with_options(assert_gradients, convention, draw, draw_mask, rng, shake, name):
    init, options = OPTIONS[name]
    params = shake(init_multihead(8, rng, num_heads=2, **init))
    args = draw(3, 5, 8), params, draw_mask(3, 5, 5)
    assert_gradients(self_attention, self_attention_backward, *args, num_heads=2, **options)
    convention(self_attention, self_attention_backward, *args, num_heads=2, **options)


@pytest.mark.parametrize("kernel", ["attention", "tiled"])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_group_of_heads_has_the_keys_of_one(draw, draw_mask, rng, shake, groups, kernel):
    X, mask = draw(2, 5, 8), draw_mask(2, 4, 5, 5)
    params = shake(init_multihead(8, rng, num_heads=4, num_kv_heads=groups))
    options = dict(num_heads=4, kernel=kernel)

    def copied(layer):
        W, b = layer.W.reshape(8, groups, 1, 2), layer.b.reshape(groups, 1, 2)
        shape = (groups, 4 // groups, 2)
        return LinearParams(
            np.broadcast_to(W, (8, *shape)).reshape(8, 8), np.broadcast_to(b, shape).reshape(8)
        )

    full = params._replace(key=copied(params.key), value=copied(params.value))
    Y, cache = self_attention(X, params, mask, num_kv_heads=groups, **options)
    expected, whole = self_attention(X, full, mask, **options)
    assert_allclose(Y, expected, rtol=0, atol=1e-13)
    (dX, dparams), (dX_whole, dwhole) = (
        self_attention_backward(expected, c) for c in (cache, whole)
    )
    assert_allclose(dX, dX_whole, rtol=0, atol=1e-12)
    dW = dwhole.key.W.reshape(8, groups, -1, 2).sum(axis=2).reshape(8, -1)
    assert_allclose(dparams.key.W, dW, rtol=0, atol=1e-12)
    if kernel == "attention":
        assert_allclose(cache.P, whole.P, rtol=0, atol=1e-14)
        assert cache.attention.K.size == 2 * groups * 5 * 2  # no copies


def test_cross_attention_is_multihead_attention_with_a_memory(draw, rng, shake):
    X, M, params = draw(2, 4, 8), draw(2, 5, 6), shake(init_multihead(8, rng, Dk=6, Dv=6))
    Y, cache = cross_attention(X, M, params, num_heads=2)
    assert_array_equal(Y, multihead_attention(X, M, M, params, num_heads=2)[0])
    dX, dM, dparams = cross_attention_backward(Y, cache)
    dXq, dXk, dXv, _ = multihead_attention_backward(Y, cache)
    assert_array_equal(dX, dXq)
    assert_array_equal(dM, dXk + dXv)


def test_a_text_read_in_portions_gives_what_reading_it_at_once_gives(draw, rng, shake):
    X, params = draw(2, 6, 8), shake(init_multihead(8, rng, qk_norm=True, num_heads=2))
    options = dict(num_heads=2, turn="interleaved", window=(3, 0))
    whole, _ = self_attention(X, params, causal_mask(6), **options)
    first, cache = self_attention(X[:, :4], params, causal_mask(4), **options)
    mask = causal_mask(2, 6, offset=4)
    second, later = self_attention(X[:, 4:], params, mask, past=cache.present, **options)
    assert_allclose(np.concatenate([first, second], axis=1), whole, rtol=0, atol=1e-13)
    assert later.present.K.shape == (2, 2, 6, 4)
    dX, _ = self_attention_backward(second, later)
    assert dX.shape == (2, 2, 8)


def test_gradients_of_three_sources_where_there_is_more_than_projections(
    assert_gradients, draw, rng, shake
):
    params = shake(init_multihead(4, rng, num_heads=2, sink=True, qk_norm=True))
    assert_gradients(multihead_attention, multihead_attention_backward, draw(2, 4), draw(3, 4),
                     draw(3, 4), params, num_heads=2)


def test_a_sink_of_minus_infinity_is_none(draw, rng, shake):
    X, params = draw(2, 4, 8), shake(init_multihead(8, rng, num_heads=2, sink=True))
    plain, _ = self_attention(X, MultiHeadParams(*params[:4]), num_heads=2)
    none = params._replace(sink=np.full(2, -1e3))
    assert_allclose(self_attention(X, none, num_heads=2)[0], plain, rtol=0, atol=1e-13)
    Y, cache = self_attention(X, params, num_heads=2)
    assert (cache.P.sum(axis=-1) < 1.0).all()


@pytest.mark.parametrize("make, message", [
    (lambda X, p: self_attention(X, p, num_heads=4, num_kv_heads=3), "divides num_heads, got num_"),
    (lambda X, p: self_attention(X, p, num_heads=4, num_kv_heads=0), "num_kv_heads=0"),
    (lambda X, p: self_attention(X, p, num_heads=2, turn="thirds"), "must be \"interleaved\""),
    (lambda X, p: self_attention(X, p, num_heads=2, cap=0.0), "cap must be positive"),
])
def test_options_that_make_no_sense(draw, rng, make, message):
    with pytest.raises(ValueError, match=message):
        make(draw(2, 5, 8), init_multihead(8, rng))


def test_a_patched_head_returns_what_it_is_told(rng):
    params, X = init_multihead(6, rng, num_heads=3), rng.standard_normal((2, 4, 6))
    Y, cache = self_attention(X, params, num_heads=3)
    O = cache.P @ cache.present.V
    same, _ = self_attention(X, params, num_heads=3, patch={h: O[:, h] for h in range(3)})
    assert_allclose(same, Y, rtol=1e-13)
    off, _ = self_attention(X, params, num_heads=3, patch={0: 0.0, 1: O[:, 1], 2: 0.0})
    W, b = params.output
    assert_allclose(off, O[:, 1] @ W[2:4] + b, rtol=1e-12, atol=1e-14)
    with pytest.raises(ValueError, match="there is no head 3: the layer has heads 0 … 2"):
        self_attention(X, params, num_heads=3, patch={3: 0.0})


def test_nothing_flows_back_into_a_patched_head(assert_gradients, draw, rng, shake):
    params, patch = shake(init_multihead(9, rng, num_heads=3)), {0: 0.0, 2: draw(2, 4, 3)}
    assert_gradients(self_attention, self_attention_backward, draw(2, 4, 9), params, num_heads=3,
                     patch=patch, max_entries=3)


def test_frozen_and_adapted_layers_give_the_same_and_learn_less(rng):
    params, X = init_multihead(6, rng, num_heads=3), rng.standard_normal((2, 4, 6))
    Y, cache = self_attention(X, params, num_heads=3)
    dX, _ = self_attention_backward(Y, cache)
    still, there = self_attention(X, frozen(params), num_heads=3)
    dstill, dparams = self_attention_backward(Y, there)
    assert_array_equal(still, Y)
    assert_allclose(dstill, dX, rtol=1e-12, atol=1e-14)
    assert tree_leaves(dparams) == []
