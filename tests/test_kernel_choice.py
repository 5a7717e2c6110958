"""Models with one kernel or the other: the same numbers, with and without the weights."""

import copy
import tracemalloc
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn import nn
from npattn.checking import assert_gradients, gradcheck
from npattn.kernels.tiling import driver
from npattn.kernels.attention import AttentionCache, attention, attention_backward
from npattn.kernels.masks import causal_mask, valid_lens_mask
from npattn.kernels.tiling.driver import TiledCache
from npattn.kernels.tiling.tiled import tiled_attention
from npattn.models import kernel_choice, search
from npattn.models.cat import cat, cat_backward, init_cat
from npattn.models.decoder import (
    decoder,
    decoder_backward,
    decoder_block,
    decoder_block_backward,
    init_decoder,
    init_decoder_block,
)
from npattn.models.encoder import (
    encoder,
    encoder_backward,
    encoder_block,
    encoder_block_backward,
    init_encoder,
    init_encoder_block,
)
from npattn.models.kernel_choice import chosen_attention, chosen_attention_backward
from npattn.models.kv_cache import Past
from npattn.models.multihead import (
    init_multihead,
    multihead_attention,
    multihead_attention_backward,
)
from npattn.models.patch_attention import (
    cross_patch_attention,
    cross_patch_attention_backward,
    inner_patch_attention,
    inner_patch_attention_backward,
)
from npattn.models.scored_attention import scored_attention
from npattn.models.time_series import (
    TimeSeriesConfig,
    init_time_series,
    time_series_transformer,
    time_series_transformer_backward,
)
from npattn.models.transformer import (
    TransformerConfig,
    init_transformer,
    transformer,
    transformer_backward,
)
from npattn.models.vision import (
    VisionConfig,
    init_vision,
    vision_transformer,
    vision_transformer_backward,
)
from npattn.trees import tree_leaves, tree_map

D, H, F, TQ, TK = 6, 2, 5, 7, 9
CONFIG = TransformerConfig(11, 13, width=D, num_heads=H, hidden=F, dropout=0.3)


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles so small that even these sequences have several, the last ones cut off."""
    monkeypatch.setattr(driver, "tile_shape", lambda *sizes: (1, 3, 4))


@pytest.fixture
def sources(draw):
    return draw(2, H, TQ, 3), draw(2, H, TK, 3), draw(2, H, TK, 4)


def run(forward, backward, args, **options):
    """Y and all gradients in a list, and the cache."""
    Y, cache = forward(*args, **options)
    dY = np.random.default_rng(1).standard_normal(Y.shape).astype(Y.dtype)
    return tree_leaves((Y, backward(dY, cache))), cache


def assert_same(found, expected, tolerance):
    for got, want in zip(found, expected, strict=True):
        assert got.dtype == want.dtype
        scale = max(1.0, np.abs(want).max(initial=0.0))
        assert_allclose(got, want, rtol=0.0, atol=tolerance * scale)


def caches_of(tree):
    """Every cache of a kernel in the cache of a model."""
    if isinstance(tree, (AttentionCache, TiledCache)):
        return [tree]
    children = tree if isinstance(tree, tuple) else ()
    return [cache for child in children for cache in caches_of(child)]


# ---- the choice ----


def test_each_name_is_its_kernel(sources, draw_mask):
    mask = draw_mask(2, 1, TQ, TK)
    O, cache = chosen_attention(*sources, mask, scale=0.4)
    assert_array_equal(O, attention(*sources, mask, scale=0.4)[0])
    assert isinstance(cache, AttentionCache)
    O, cache = chosen_attention(*sources, mask, kernel="tiled", scale=0.4)
    assert_array_equal(O, tiled_attention(*sources, mask, scale=0.4)[0])
    assert isinstance(cache, TiledCache)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_auto_goes_by_the_bytes_of_the_scores(sources, monkeypatch, dtype):
    sources = [X.astype(dtype) for X in sources]
    scores = 2 * H * TQ * TK * np.dtype(dtype).itemsize
    for worth, kind in ((scores, TiledCache), (scores + 1, AttentionCache)):
        monkeypatch.setattr(kernel_choice, "WORTH_TILES", worth)
        _, cache = chosen_attention(*sources, kernel="auto")
        assert type(cache) is kind


def test_the_scores_of_all_heads_count_however_many_axes_there_are(draw, monkeypatch):
    for lead in ((), (5,), (2, 3, 5)):
        X, K = draw(*lead, 4, 3), draw(*lead, 6, 3)
        scores = int(np.prod(lead)) * 4 * 6 * 8
        for worth, kind in ((scores, TiledCache), (scores + 1, AttentionCache)):
            monkeypatch.setattr(kernel_choice, "WORTH_TILES", worth)
            assert type(chosen_attention(X, K, K, kernel="auto")[1]) is kind


def test_auto_takes_attention_for_complex_arrays(sources, monkeypatch):
    monkeypatch.setattr(kernel_choice, "WORTH_TILES", 0)
    for i in range(3):
        args = [X + 0j if i == j else X for j, X in enumerate(sources)]
        assert isinstance(chosen_attention(*args, kernel="auto")[1], AttentionCache)


def test_the_bytes_from_which_on_tiles_are_taken():
    def cache_of(B, T):
        X = np.zeros((B, 4, T, 1), np.float32)
        return chosen_attention(X, X, X, kernel="auto")[1]

    assert isinstance(cache_of(2, 64), AttentionCache)
    assert isinstance(cache_of(64, 127), AttentionCache)
    assert isinstance(cache_of(64, 128), TiledCache)


@pytest.mark.parametrize("kernel", ["flash", None, "Tiled", 1])
def test_another_kernel_is_an_error_that_lists_the_kernels(sources, rng, kernel):
    message = f'kernel must be "attention", "tiled" or "auto", got {kernel!r}'
    with pytest.raises(ValueError, match=message):
        chosen_attention(*sources, kernel=kernel)
    X, params = np.zeros((2, TQ, D)), init_encoder(D, F, 1, rng)
    with pytest.raises(ValueError, match=message):
        encoder(X, params, num_heads=H, kernel=kernel)
    with pytest.raises(ValueError, match=message):
        nn.EncoderBlock(D, H, F, kernel=kernel)(X)
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, kernel=kernel)
    with pytest.raises(ValueError, match=message):
        VisionConfig(kernel=kernel)
    with pytest.raises(ValueError, match=message):
        TimeSeriesConfig(kernel=kernel)


def test_tiles_of_complex_numbers_are_an_error_that_says_what_to_do(sources):
    for i, name in enumerate("QKV"):
        args = [X + 0j if i == j else X for j, X in enumerate(sources)]
        message = f'{name} is complex128, but kernel="tiled" .* in a model use kernel="attention"'
        with pytest.raises(TypeError, match=message):
            chosen_attention(*args, kernel="tiled")


@pytest.mark.parametrize("kernel", kernel_choice.KERNELS)
def test_arrays_that_do_not_fit(sources, kernel):
    Q, K, V = sources
    with pytest.raises(ValueError, match=f"Tk is {TK} in K, {TK - 1} in V"):
        chosen_attention(Q, K, V[..., 1:, :], kernel=kernel)
    with pytest.raises(TypeError, match="K must be a NumPy array, got list"):
        chosen_attention(Q, K.tolist(), V, kernel=kernel)


def test_the_layer_of_a_cache_hears_the_window_and_the_scale(draw):
    Q, K, V = draw(3, 2, 4, 3)
    for window, told in ((2, (1, 0)), ((2, 0), (2, 0)), (None, (None, 0))):
        laid_out = Past(np.empty((2, 4, 3)), np.empty((2, 4, 3)), 0)
        O, _ = chosen_attention(Q, K, V, laid_out=laid_out, window=window, scale=0.3)
        expected, _ = chosen_attention(Q, K, V, window=told, scale=0.3)
        assert_allclose(O, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["mask", "bias", "sink", "cap"])
def test_what_the_layer_of_a_cache_cannot_do_is_named(draw, name):
    laid_out = Past(draw(2, 9, 3), draw(2, 9, 3), 0)
    with pytest.raises(ValueError, match=f"^a KVCache attends without a {name}; hand over"):
        chosen_attention(*draw(3, 2, 4, 3), laid_out=laid_out, **{name: np.ones((4, 4), bool)})


# ---- one kernel or the other ----

MASKS = {
    "none": None,
    "causal": causal_mask(TQ, TK, offset=TK - TQ),
    "padding": valid_lens_mask([4, TK], TK)[:, None],
    "dead rows": causal_mask(TQ, TK, offset=-2),
    "a head apart": (np.arange(H * TQ * TK) % 5 < 3).reshape(H, TQ, TK),
    "nobody": np.zeros((1, TK), bool),
}
masks = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)


@pytest.mark.parametrize("name", ["none", "causal", "padding"])  # L is −inf where a query is dead
def test_convention(convention, sources, name):
    convention(chosen_attention, chosen_attention_backward, *sources, MASKS[name], kernel="tiled")


@masks
def test_a_kernel_changes_nothing_but_roundings(sources, small_tiles, mask):
    pair = chosen_attention, chosen_attention_backward
    found, _ = run(*pair, (*sources, mask), kernel="tiled")
    expected, _ = run(attention, attention_backward, (*sources, mask))
    assert_same(found, expected, 1e-13)


def model(rng, name):
    """forward, backward and arguments of a model, with masks as they come in practice."""
    draw, size = rng.standard_normal, dict(num_heads=H)
    X, M = draw((2, TQ, D)), draw((2, TK, D))
    padding, causal = valid_lens_mask([TK, 3], TK), causal_mask(TQ)
    ids = rng.integers(0, 11, (2, TK)), rng.integers(0, 11, (2, TQ))
    tokens = np.arange(TK) < np.array([[TK], [4]])
    image = draw((2, 2, 4, 6))
    vision = VisionConfig((2, 4, 6), width=4, num_heads=2, hidden=F, num_blocks=1)
    series = TimeSeriesConfig((TQ, 3), (2,), width=4, num_heads=2, hidden=F, num_blocks=1)
    heads = np.random.default_rng(2).random((2, H, TQ, TK)) < 0.5
    return {
        "multi-head": lambda: (
            partial(multihead_attention, **size), multihead_attention_backward,
            (X, M, M, init_multihead(D, rng), padding),
        ),
        "multi-head, a mask for each head": lambda: (
            partial(multihead_attention, **size), multihead_attention_backward,
            (X, M, M, init_multihead(D, rng), heads),
        ),
        "encoder block": lambda: (
            partial(encoder_block, **size), encoder_block_backward,
            (X, init_encoder_block(D, F, rng), causal),
        ),
        "encoder": lambda: (
            partial(encoder, norm="pre", **size), encoder_backward,
            (M, init_encoder(D, F, 2, rng, norm="pre"), padding),
        ),
        "decoder block": lambda: (
            partial(decoder_block, norm="pre", **size), decoder_block_backward,
            (X, M, init_decoder_block(D, F, rng), causal, padding),
        ),
        "decoder": lambda: (
            partial(decoder, **size), decoder_backward,
            (X, M, init_decoder(D, F, 2, rng), causal, padding),
        ),
        "Transformer": lambda: (
            with_config(transformer, CONFIG), transformer_backward,
            (*ids, init_transformer(CONFIG, rng), tokens),
        ),
        "vision": lambda: (
            with_config(vision_transformer, vision), vision_transformer_backward,
            (image, init_vision(vision, rng)),
        ),
        "time series": lambda: (
            with_config(time_series_transformer, series), time_series_transformer_backward,
            (draw((2, TQ, 3)), init_time_series(series, rng)),
        ),
        "inner patches": lambda: (
            partial(inner_patch_attention, patch=2, num_heads=3), inner_patch_attention_backward,
            (draw((2, 4, 6, D)), init_multihead(D, rng)),
        ),
        "cross patches": lambda: (
            partial(cross_patch_attention, patch=2), cross_patch_attention_backward,
            (draw((2, 4, 6, D)), init_multihead(4, rng)),
        ),
        "patch blocks": lambda: (
            partial(cat, patch=2, num_heads=3), cat_backward,
            (draw((2, 4, 6, D)), init_cat(D, F, rng, patch=2)),
        ),
    }[name]()


def with_config(forward, config):
    """`forward` that takes kernel= as the others do."""
    return lambda *args, kernel="attention", **options: forward(
        *args, config=replace(config, kernel=kernel), **options
    )


MODELS = (
    "multi-head", "multi-head, a mask for each head", "encoder block", "encoder", "decoder block",
    "decoder", "Transformer", "vision", "time series", "inner patches", "cross patches",
    "patch blocks",
)
models = pytest.mark.parametrize("name", MODELS)


@models
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_a_model_computes_the_same_with_either(rng, shake, small_tiles, name, dtype, tolerance):
    def prepare(X):
        return X.astype(dtype) if X.dtype.kind == "f" else X

    forward, backward, args = model(rng, name)
    args = tree_map(prepare, tuple(shake(X) if isinstance(X, tuple) else X for X in args))
    expected, kept = run(forward, backward, args)
    found, spared = run(forward, backward, args, kernel="tiled")
    assert_same(found, expected, tolerance)
    assert {type(cache) for cache in caches_of(kept)} == {AttentionCache}
    assert {type(cache) for cache in caches_of(spared)} == {TiledCache}
    assert len(caches_of(kept)) == len(caches_of(spared)) > 0


@models
def test_the_default_keeps_the_weights(rng, name):
    forward, backward, args = model(rng, name)
    explicit, _ = run(forward, backward, args, kernel="attention")
    found, cache = run(forward, backward, args)
    assert all(kept.P.ndim >= 4 for kept in caches_of(cache))
    for got, want in zip(found, explicit, strict=True):
        assert_array_equal(got, want)


@models
def test_auto_takes_one_of_the_two(rng, monkeypatch, name):
    forward, backward, args = model(rng, name)
    for worth, kernel in ((0, "tiled"), (2**40, "attention")):
        monkeypatch.setattr(kernel_choice, "WORTH_TILES", worth)
        found, expected = (run(forward, backward, args, kernel=k)[0] for k in ("auto", kernel))
        for got, want in zip(found, expected, strict=True):
            assert_array_equal(got, want)


# ---- what is behind a mask ----


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_masked_source_cannot_leak(rng, draw, shake, poison):
    X, M, params = draw(2, TQ, D), draw(2, TK, D), shake(init_multihead(D, rng))
    mask, options = valid_lens_mask([3, 0], TK), dict(num_heads=H, kernel="tiled")
    poisoned, pair = M.copy(), (multihead_attention, multihead_attention_backward)
    poisoned[~mask[:, 0]] = poison
    expected, _ = run(*pair, (X, M, M, params, mask), **options)
    with np.errstate(invalid="ignore"):  # the projection of inf is the caller's
        found, _ = run(*pair, (X, poisoned, poisoned, params, mask), **options)
    for got, want in zip(found, expected, strict=True):
        assert_array_equal(got, want)


def test_a_dead_query_gets_the_output_bias_and_gives_nothing(rng, draw, draw_mask, shake):
    X, M, params = draw(2, TQ, D), draw(2, TK, D), shake(init_multihead(D, rng))
    Y, cache = multihead_attention(
        X, M, M, params, draw_mask(2, TQ, TK), num_heads=H, kernel="tiled"
    )
    assert_array_equal(Y[:, 0], np.broadcast_to(params.output.b, (2, D)))
    dX, *_ = multihead_attention_backward(draw(2, TQ, D), cache)
    assert not dX[:, 0].any() and dX[:, 1:].all()


@pytest.mark.parametrize("B, Tq, Tk", [(2, 4, 0), (2, 0, 5), (0, 4, 5)])
def test_nothing_to_attend_to(rng, B, Tq, Tk):
    X, M, params = np.ones((B, Tq, D)), np.ones((B, Tk, D)), init_multihead(D, rng)
    Y, cache = multihead_attention(X, M, M, params, num_heads=H, kernel="tiled")
    *dX, dparams = multihead_attention_backward(Y, cache)
    assert Y.shape == X.shape and [d.shape for d in dX] == [X.shape, M.shape, M.shape]
    assert not any(leaf.any() for leaf in tree_leaves(dparams._replace(output=None)))


# ---- dropout ----


@pytest.mark.parametrize("name", ["multi-head", "encoder", "Transformer"])
def test_dropout_is_the_kernels_own_and_the_same_in_every_run(rng, name):
    forward, backward, args = model(rng, name)
    options = {} if name == "Transformer" else {"dropout": 0.4}

    def once(kernel, seed):
        generator = np.random.default_rng(seed)
        return run(forward, backward, args, kernel=kernel, rng=generator, **options)[0]

    for kernel in ("attention", "tiled"):
        for got, want in zip(once(kernel, 3), once(kernel, 3), strict=True):
            assert_array_equal(got, want)
        assert (once(kernel, 3)[0] != once(kernel, 4)[0]).any()
    assert (once("tiled", 3)[0] != once("attention", 3)[0]).any()


def test_tiles_draw_one_number_from_the_generator(rng, draw):
    X, params, generator = draw(2, TQ, D), init_multihead(D, rng), np.random.default_rng(3)
    other = copy.deepcopy(generator)
    multihead_attention(
        X, X, X, params, num_heads=H, kernel="tiled", dropout=0.4, rng=generator
    )
    other.integers(2**63)
    assert generator.bit_generator.state == other.bit_generator.state


@pytest.mark.thorough
def test_gradients_in_tiles_with_dropout(rng, draw, draw_mask, shake):
    report = assert_gradients(
        encoder_block, encoder_block_backward, draw(2, 4, D), shake(init_encoder_block(D, F, rng)),
        draw_mask(2, 4, 4), num_heads=H, kernel="tiled", norm="pre", activation="gelu",
        dropout=0.3, rng=np.random.default_rng(3), max_entries=1,
    )
    assert report.method == "central differences"
    assert 'use kernel="attention"' in str(report)


def test_the_checker_needs_no_hint_where_the_kernel_is_auto(rng, draw):
    X, params = draw(2, 4, D), init_multihead(D, rng)
    report = gradcheck(
        multihead_attention, multihead_attention_backward, X, X, X, params,
        num_heads=H, kernel="auto", max_entries=4,
    )
    assert report.ok and report.method == "complex step"


# ---- who does not look at the weights ----


def test_decoding_lets_the_encoder_choose(rng, monkeypatch):
    params, seen = init_transformer(CONFIG, rng), []
    source, mask = rng.integers(0, 11, (1, TK)), np.arange(TK)[None] < 5
    options = dict(config=CONFIG, bos=1, eos=2, max_len=6)
    decoders = search.greedy_decode, search.beam_search
    expected = [decode(source, params, mask, **options) for decode in decoders]

    def encode(*args, config, **options):
        M, cache = real_encode(*args, config=config, **options)
        seen.extend(caches_of(cache))
        return M, cache

    real_encode = search.encode
    monkeypatch.setattr(search, "encode", encode)
    monkeypatch.setattr(kernel_choice, "WORTH_TILES", 0)
    for decode, answers in zip(decoders, expected, strict=True):
        found = decode(source, params, mask, **options)
        for got, want in zip(found, answers, strict=True):
            assert_array_equal(got.ids, want.ids)
            assert got.log_prob == pytest.approx(want.log_prob, rel=1e-12)
    assert [type(cache) for cache in seen] == [TiledCache, TiledCache]


LAYERS = {
    "dot product": (nn.DotProductAttention, (), ("X", "X", "X"), None),
    "multi-head": (nn.MultiHeadAttention, (D, H), ("X", "X", "X"), None),
    "encoder block": (nn.EncoderBlock, (D, H, F), ("X",), None),
    "decoder block": (nn.DecoderBlock, (D, H, F), ("X", "M"), nn.DecoderWeights(None, None)),
    "encoder": (nn.TransformerEncoder, (D, H, F, 2), ("X",), (None, None)),
    "decoder": (
        nn.TransformerDecoder, (D, H, F, 2), ("X", "M"), 2 * (nn.DecoderWeights(None, None),)
    ),
}


@pytest.mark.parametrize("kind, sizes, words, absent", LAYERS.values(), ids=LAYERS)
def test_objects_take_the_kernel_once_or_for_one_call(draw, kind, sizes, words, absent):
    given = {"X": draw(2, TQ, D), "M": draw(2, TK, D)}
    inputs = [given[word] for word in words]
    plain, spared = kind(*sizes, rng=0), kind(*sizes, rng=0, kernel="tiled")
    Y, Y_spared = plain(*inputs), spared(*inputs)
    weights = tree_leaves(plain.attention_weights)
    assert weights and all(P.shape[-2] == TQ for P in weights)
    assert spared.attention_weights == absent
    dY = np.random.default_rng(1).standard_normal(Y.shape)
    expected = tree_leaves((Y, plain.backward(dY), plain.grads))
    found = tree_leaves((Y_spared, spared.backward(dY), spared.grads))
    assert_same(found, expected, 1e-12)
    assert_array_equal(plain(*inputs, kernel="tiled"), Y_spared)
    assert plain.attention_weights == absent


def test_a_transformer_object_has_the_kernel_in_its_config(rng):
    ids = rng.integers(0, 11, (2, TK)), rng.integers(0, 11, (2, TQ))
    model = nn.Transformer(replace(CONFIG, kernel="tiled"), rng=0)
    logits = model.eval()(*ids)
    assert model.attention_weights == ((None,), (nn.DecoderWeights(None, None),))
    assert_allclose(logits, nn.Transformer(CONFIG, rng=0).eval()(*ids), rtol=0, atol=1e-12)


@pytest.mark.parametrize("forbidden", [True, False], ids=["causal", "free"])
def test_whom_nobody_asks_for_the_weights_makes_no_matrix(rng, forbidden):
    T, width, heads = 1500, 16, 4
    X = rng.standard_normal((1, T, width), dtype=np.float32)
    mask = causal_mask(T) if forbidden else None
    layer = nn.MultiHeadAttention(width, heads, kernel="auto", rng=0, dtype=np.float32)
    layer(X[:, :2], X[:, :2], X[:, :2])  # threads and caches that stay are not counted
    tracemalloc.start()
    layer.backward(layer(X, X, X, mask=mask))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert layer.attention_weights is None
    assert peak < heads * T * T * X.itemsize / 3


@pytest.mark.parametrize("kernel", ["attention", "tiled"])
def test_every_option_is_the_one_of_the_kernel_that_does_without(sources, draw, kernel):
    bias, sink = draw(H, TQ, TK), draw(H)
    O, _ = chosen_attention(*sources, None, bias, sink, kernel=kernel, cap=0.3, scale=2.0)
    expected, _ = scored_attention(*sources, None, bias, sink, cap=0.3, scale=2.0)
    assert_allclose(O, expected, rtol=1e-12, atol=1e-13)
    for window, left, right in (((2, 1), 2, 1), (3, 2, 2), ((0, None), 0, None)):
        O, _ = chosen_attention(*sources, kernel=kernel, window=window, offset=2)
        i, j = np.arange(TQ)[:, None] + 2, np.arange(TK)
        mask = (j >= i - left) & (True if right is None else j <= i + right)
        assert_allclose(O, attention(*sources, mask)[0], rtol=1e-12, atol=1e-13)


def test_a_window_of_1_is_the_key_itself_and_none_is_refused(sources):
    Q, K, V = sources
    O, _ = chosen_attention(Q, K, V, window=1)
    assert_allclose(O, V[..., :TQ, :], rtol=1e-14)
    with pytest.raises(ValueError, match="window"):
        chosen_attention(Q, K, V, window=0)
