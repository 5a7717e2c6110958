"""The options of a block wherever it stands, and the weights of every model by one function."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn import attention_weights, nn
from npattn.kernels.attention import AttentionCache
from npattn.kernels.dropout import DropoutCache
from npattn.kernels.masks import causal_mask
from npattn.models.block import (
    decoder_block, encoder_block, encoder_block_backward, init_decoder_block, init_encoder_block,
)
from npattn.models.cat import cat, init_cat
from npattn.models.config import BlockOptions
from npattn.models.decoder import decoder, init_decoder
from npattn.models.encoder import encoder, init_encoder
from npattn.models.language_model import (
    LanguageModelConfig, init_language_model, language_model,
)
from npattn.models.stack import init_stack, stack, stack_backward
from npattn.models.time_series import (
    TimeSeriesConfig, init_time_series, time_series_transformer,
)
from npattn.models.transformer import TransformerConfig, init_transformer, transformer
from npattn.models.vision import VisionConfig, init_vision, vision_transformer

MODERN = BlockOptions(
    num_heads=4, num_kv_heads=2, head_width=4, norm="pre", normalization="rms_norm",
    activation="silu", gated=True, bias=False, rotary="halves", window=(2, 0), qk_norm=True,
    sink=True, cap=20.0, eps=1e-6,
)


# ---- weights ----


def test_weights_of_an_encoder_and_a_decoder_block_by_block(draw, rng):
    X, M = draw(2, 3, 8), draw(2, 5, 8)
    _, cache = encoder(M, init_encoder(8, 6, 3, rng), num_heads=2)
    found = attention_weights(cache)
    assert [w["self"].shape for w in found] == [(2, 2, 5, 5)] * 3
    assert_array_equal(found[1]["self"], cache.blocks[1].attention.attention.P)
    _, cache = decoder(X, M, init_decoder(8, 6, 2, rng), causal_mask(3), num_heads=2)
    found = attention_weights(cache)
    assert [w["self"].shape for w in found] == [(2, 2, 3, 3)] * 2
    assert [w["cross"].shape for w in found] == [(2, 2, 3, 5)] * 2
    assert attention_weights(cache.blocks[0])[0]["cross"] is found[0]["cross"]


def test_weights_of_a_transformer_are_those_of_its_encoder_then_its_decoder(rng):
    config = TransformerConfig(5, 7, width=8, num_heads=2, hidden=6, encoder_blocks=2)
    source, target = rng.integers(0, 5, (2, 4)), rng.integers(0, 7, (2, 3))
    _, cache = transformer(source, target, init_transformer(config, rng), config=config)
    assert [sorted(w) for w in attention_weights(cache)] == [["self"], ["self"], ["cross", "self"]]
    tiled = dataclasses.replace(config, kernel="tiled")
    _, cache = transformer(source, target, init_transformer(tiled, rng), config=tiled)
    assert attention_weights(cache)[2] == {"self": None, "cross": None}


def test_weights_of_images_and_of_groups(draw, rng):
    config = VisionConfig((1, 4, 4), 2, width=8, num_heads=2, hidden=6, num_blocks=1)
    _, cache = vision_transformer(draw(3, 1, 4, 4), init_vision(config, rng), config=config)
    [weights] = attention_weights(cache)
    assert weights["self"].shape == (3, 2, 5, 5)
    _, cache = cat(draw(2, 4, 4, 6), init_cat(6, 5, rng, patch=2), patch=2, num_heads=3)
    assert [w["self"].shape for w in attention_weights(cache)] == [
        (2, 4, 3, 4, 4), (2, 6, 1, 4, 4), (2, 4, 3, 4, 4)
    ]
    params = init_encoder(8, 6, 1, rng, options=MODERN)
    _, cache = encoder(draw(2, 5, 8), params, options=MODERN)
    [weights] = attention_weights(cache)
    assert weights["self"].shape == (2, 4, 5, 5)
    assert (weights["self"].sum(axis=-1) < 1.0).all()  # the sink has the rest


# ---- options ----


def test_a_decoder_only_model_is_encoder_blocks_with_a_causal_mask(draw, rng, shake):
    X, params = draw(2, 5, 8), shake(init_encoder(8, 6, 2, rng, options=MODERN))
    Y, _ = encoder(X, params, causal_mask(5), options=MODERN)
    changed = X.copy()
    changed[:, 3] += 1.0
    moved = encoder(changed, params, causal_mask(5), options=MODERN)[0] != Y
    assert not moved[:, :3].any() and moved[:, 3:].all()


def test_a_block_continues_from_its_past(draw, rng, shake):
    X, params = draw(2, 6, 8), shake(init_encoder_block(8, 6, rng, options=MODERN))
    whole, _ = encoder_block(X, params, causal_mask(6), options=MODERN)
    first, cache = encoder_block(X[:, :4], params, causal_mask(4), options=MODERN)
    past = cache.self_attention.sublayer.present
    second, _ = encoder_block(
        X[:, 4:], params, causal_mask(2, 6, offset=4), past=past, options=MODERN
    )
    assert_allclose(np.concatenate([first, second], axis=1), whole, rtol=0, atol=1e-12)


def test_blocks_of_a_stack_may_have_options_of_their_own(assert_gradients, draw, rng, shake):
    X = draw(2, 4, 8)
    params = shake(init_stack(8, 6, 2, rng, init_encoder_block, options=MODERN))
    wide = dataclasses.replace(MODERN, window=None, rotary="interleaved")

    def model(X, params):
        blocks = [lambda X, p, o=o: encoder_block(X, p, options=o) for o in (MODERN, wide)]
        return stack(X, params, blocks, options=MODERN)

    def model_backward(dY, cache):
        return stack_backward(dY, cache, encoder_block_backward)

    assert_gradients(model, model_backward, X, params, max_entries=5)


@pytest.mark.parametrize("norm", ["post", "pre", "sandwich"])
def test_each_sublayer_drops_what_it_returns_and_attentions_drop_weights(draw, rng, norm):
    X, M, told = draw(2, 5, 8), draw(2, 4, 8), dict(num_heads=2, norm=norm)
    blocks = init_encoder_block(8, 6, rng, **told), init_decoder_block(8, 6, rng, **told)
    told |= dict(dropout=0.5, rng=rng)
    caches = encoder_block(X, blocks[0], **told)[1], decoder_block(X, M, blocks[1], **told)[1]
    for cache in caches:
        for part in filter(None, cache):
            assert ((part.dropped or part.added.dropped).keep == 0).any()
        for part in filter(None, cache[:2]):
            assert (part.sublayer.attention.keep == 0).any()


def dropped_in(tree):
    """What every dropout in a cache kept, those of weights included."""
    if isinstance(tree, (DropoutCache, AttentionCache)):
        return [tree.keep]
    return [keep for part in tree if isinstance(part, tuple) for keep in dropped_in(part)]


def test_a_generator_reaches_every_dropout_of_a_model(rng):
    told = dict(dropout=0.5, num_heads=2, hidden=7)
    vision = VisionConfig((1, 4, 4), width=4, **told)
    series = TimeSeriesConfig((5, 4), (3,), num_blocks=2, **told)
    texts = TransformerConfig(5, 7, width=4, **told)
    language = LanguageModelConfig(7, 4, num_blocks=2, context=9, **told)
    ids = rng.integers(0, 5, (2, 6))
    caches = {
        vision: vision_transformer(np.ones((2, 1, 4, 4)), init_vision(vision, rng), config=vision,
                                   rng=rng)[1],
        series: time_series_transformer(np.ones((2, 5, 4)), init_time_series(series, rng),
                                        config=series, rng=rng)[1],
        texts: transformer(ids, ids, init_transformer(texts, rng), config=texts, rng=rng)[1],
        language: language_model(ids, init_language_model(language, rng), config=language,
                                 rng=rng)[1],
    }
    for (config, cache), count in zip(caches.items(), (7, 7, 10, 6), strict=True):
        kept = dropped_in(cache)
        assert len(kept) == count and all((keep == 0).any() for keep in kept), config


def test_a_number_of_blocks_may_not_be_less_than_none(rng):
    for init in (init_encoder, init_decoder):
        assert init(4, 6, 0, rng, num_heads=2).blocks == ()
        with pytest.raises(ValueError, match="num_blocks must be at least 0, got -1"):
            init(4, 6, -1, rng, num_heads=2)


def test_layers_take_every_option(draw):
    layer = nn.MultiHeadAttention(
        8, 4, num_kv_heads=2, rotary="halves", bias=False, window=3, sink=True, qk_norm=True, rng=0
    )
    X = draw(2, 5, 8)
    Y = layer(X, X, X)
    dX, _, _ = layer.backward(Y)
    assert Y.shape == dX.shape == X.shape and layer.attention_weights.shape == (2, 4, 5, 5)
    assert not [path for path in layer.state_dict() if path.endswith(".b")]
    options = {f.name: getattr(MODERN, f.name) for f in dataclasses.fields(MODERN)}
    block = nn.EncoderBlock(8, options.pop("num_heads"), 6, rng=0, **options)
    assert block.backward(block(X)).shape == X.shape
    assert not [path for path in nn.EncoderBlock(8, 2, 6, bias=False).state_dict()
                if path.endswith((".b", ".bias"))]


@pytest.mark.parametrize("options, message", [
    (dict(num_heads=0), "num_heads must be at least 1, got 0"),
    (dict(num_heads=4, num_kv_heads=3), "num_kv_heads must be a positive integer that divides"),
    (dict(normalization="batch"), 'must be "layer_norm", "rms_norm" or "rms_norm_1", got'),
    (dict(rotary="thirds"), 'rotary must be "interleaved" or "halves", got'),
    (dict(eps=-1.0), "eps must be 0 or more"),
])
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        BlockOptions(**options)
