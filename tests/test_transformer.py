"""The Transformer as a whole."""

import dataclasses
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.kernels.positions import sinusoidal_positions
from npattn.models.transformer import (
    TransformerConfig,
    decode,
    decode_backward,
    embed_tokens,
    embed_tokens_backward,
    encode,
    encode_backward,
    init_transformer,
    key_mask,
    transformer,
    transformer_backward,
)
from npattn.trees import tree_items, tree_leaves, tree_map

both_norms = pytest.mark.parametrize("norm", ["post", "pre"])


@pytest.fixture
def make_model(rng, shake):
    """config and parameters of a small model: 7 source and 5 target tokens, width 4."""

    def make(**options):
        sizes = dict(source_vocabulary=7, target_vocabulary=5, width=4, num_heads=2, hidden=3)
        config = TransformerConfig(**{**sizes, **options})
        return config, shake(init_transformer(config, rng))

    return make


@pytest.fixture
def batch(rng):
    """source (3, 5), target (3, 4) and masks; one source is all padding."""
    masks = (np.arange(n) < np.array(lens)[:, None] for n, lens in ((5, (3, 5, 0)), (4, (4, 2, 3))))
    return rng.integers(0, 7, (3, 5)), rng.integers(0, 5, (3, 4)), *masks


# ---- values ----


@pytest.mark.parametrize("scale, factor", [(False, 1.0), (True, 2.0)])
def test_embedding_by_hand(make_model, draw, scale, factor):
    config, _ = make_model(scale_embeddings=scale)
    E, ids = draw(7, 4), np.array([[3, 0, 3]])
    X, cache = embed_tokens(ids, E, config=config, offset=2)
    assert_array_equal(X, [E[[3, 0, 3]] * factor + sinusoidal_positions(5, 4)[2:]])
    dX = draw(1, 3, 4)
    dE = embed_tokens_backward(dX, cache)
    assert_allclose(dE[3], factor * (dX[0, 0] + dX[0, 2]), rtol=1e-14)
    assert not dE[[1, 2, 4, 5, 6]].any()


def test_sizes_of_the_text(rng):
    # vocabulary 200, width 24, 48 inside, 8 heads, 2 blocks, 100 tokens
    config = TransformerConfig(200, 200, 24, 8, 48, 2, 2, norm="post", scale_embeddings=True)
    assert config.num_heads == 8 and config.hidden == 48
    params = init_transformer(config, rng)
    source_mask = np.arange(100) < np.array([[3], [2]])
    ids = np.ones((2, 100), int)
    M, _ = encode(ids, params.encode, source_mask, config=config)
    assert M.shape == (2, 100, 24)
    logits, _ = decode(ids[:, :3], M, params.decode, None, source_mask, config=config)
    assert logits.shape == (2, 3, 200)


def test_initial_parameters(rng):
    config = TransformerConfig(1000, 500, width=16, encoder_blocks=2, decoder_blocks=3)
    params = init_transformer(config, rng)
    assert params.encode.embedding.shape == (1000, 16)
    assert params.decode.embedding.shape == (500, 16)
    assert params.decode.output.W.shape == (16, 500)
    assert (len(params.encode.stack.blocks), len(params.decode.stack.blocks)) == (2, 3)
    assert_allclose(params.encode.embedding.var(), 1 / 16, rtol=0.05)
    single = init_transformer(config, rng, dtype=np.float32)
    assert {X.dtype for X in tree_leaves(single)} == {np.dtype(np.float32)}


def test_masks_over_keys(batch):
    assert key_mask(None, (3, 5)) is None
    assert_array_equal(key_mask(batch[2], (3, 5))[:, 0], batch[2])


def test_transformer_is_encode_then_decode(make_model, batch, draw):
    (config, params), (source, target, source_mask, target_mask) = make_model(), batch
    logits, cache = transformer(source, target, params, source_mask, target_mask, config=config)
    M, encode_cache = encode(source, params.encode, source_mask, config=config)
    args = target, M, params.decode, target_mask, source_mask
    expected, decode_cache = decode(*args, config=config)
    assert_array_equal(logits, expected)
    dlogits = draw(3, 4, 5)
    dM, ddecode = decode_backward(dlogits, decode_cache)
    parts = encode_backward(dM, encode_cache), ddecode
    for found, want in zip(
        tree_leaves(transformer_backward(dlogits, cache)), tree_leaves(parts), strict=True
    ):
        assert_array_equal(found, want)


# ---- invariants ----


@both_norms
def test_a_token_does_not_feel_later_ones(make_model, batch, norm):
    (config, params), (source, target, *masks) = make_model(norm=norm, decoder_blocks=2), batch
    logits, _ = transformer(source, target, params, *masks, config=config)
    for t in range(4):
        changed = np.where(np.arange(4) > t, (target + 1) % 5, target)
        other, _ = transformer(source, changed, params, *masks, config=config)
        assert_array_equal(other[:, : t + 1], logits[:, : t + 1])
    assert (transformer(source, (target + 1) % 5, params, config=config)[0] != logits).all()


@both_norms
def test_causality_needs_no_training_mode(make_model, batch, norm):
    (config, params), (source, target, *_) = make_model(norm=norm), batch
    logits, _ = transformer(source, target, params, config=config)
    for t in range(4):
        prefix, _ = transformer(source, target[:, : t + 1], params, config=config)
        assert_allclose(prefix, logits[:, : t + 1], rtol=0, atol=1e-13)


@pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
@both_norms
def test_a_padded_batch_computes_each_pair_as_if_alone(make_model, batch, norm, packed):
    config, params = make_model(norm=norm, encoder_blocks=2, decoder_blocks=2, packed=packed)
    source, target, source_mask, target_mask = batch
    logits, _ = transformer(source, target, params, source_mask, target_mask, config=config)
    for b in range(3):
        s, t = source[b][source_mask[b]], target[b][target_mask[b]]
        alone, _ = transformer(s, t, params, config=config)
        assert_allclose(logits[b][target_mask[b]], alone, rtol=0, atol=1e-13)


def test_padded_ids_do_not_matter(make_model, batch):
    (config, params), (source, target, source_mask, target_mask) = make_model(), batch
    logits, _ = transformer(source, target, params, source_mask, target_mask, config=config)
    other, _ = transformer(
        np.where(source_mask, source, 6), np.where(target_mask, target, 4), params,
        source_mask, target_mask, config=config,
    )
    assert_array_equal(other[target_mask], logits[target_mask])


def test_packing_changes_neither_memory_nor_gradient(make_model, batch, draw):
    (config, params), (source, *_) = make_model(norm="pre", encoder_blocks=2), batch
    mask = np.arange(5) < np.array([[2], [5], [3]])  # the first and the last share a row
    dM = draw(3, 5, 4) * mask[..., None]
    (M, cache), (M_packed, cache_packed) = (
        encode(source, params.encode, mask, config=dataclasses.replace(config, packed=packed))
        for packed in (False, True)
    )
    assert cache_packed.packing.mask.shape == (2, 5, 5)
    assert_allclose(M_packed, np.where(mask[..., None], M, 0.0), rtol=0, atol=1e-13)
    for padded, packed in zip(
        tree_leaves(encode_backward(dM, cache)),
        tree_leaves(encode_backward(dM, cache_packed)), strict=True,
    ):
        assert_allclose(packed, padded, rtol=0, atol=1e-12)


def test_one_mask_serves_all_packed_sources(make_model, batch):
    (config, params), (source, *_) = make_model(packed=True), batch
    mask = np.array([True, True, False, True, False])
    M, _ = encode(source, params.encode, mask, config=config)
    wanted, _ = encode(source, params.encode, np.tile(mask, (3, 1)), config=config)
    assert_array_equal(M, wanted)
    alone, _ = encode(source[0], params.encode, mask, config=config)
    assert_allclose(alone, M[0], rtol=0, atol=1e-13)


def test_word_order_shows(make_model, batch):
    (config, params), (_, target, *_) = make_model(), batch
    source = np.arange(5)[None].repeat(3, axis=0)
    logits, _ = transformer(source, target, params, config=config)
    assert (transformer(source[:, ::-1], target, params, config=config)[0] != logits).any()


@both_norms
def test_a_few_plain_gradient_steps_reduce_the_loss(rng, batch, norm):
    config = TransformerConfig(7, 5, width=8, num_heads=2, hidden=12, norm=norm)
    params, (source, target, *masks) = init_transformer(config, rng), batch
    inputs, outputs = target[:, :-1], np.where(masks[1], target, -1)[:, 1:]
    losses = []
    for _ in range(80):
        logits, cache = transformer(
            source, inputs, params, masks[0], masks[1][:, :-1], config=config
        )
        loss, loss_cache = cross_entropy(logits, outputs, ignore=-1)
        dparams = transformer_backward(cross_entropy_backward(1.0, loss_cache), cache)
        params = tree_map(lambda p, d: p - 0.05 * d, params, dparams)
        losses.append(loss)
    assert losses[1] < losses[0] and losses[-1] < 0.1 * losses[0]


def test_dropout_needs_a_generator_which_alone_decides(make_model, batch):
    (config, params), (source, target, *masks) = make_model(dropout=0.3), batch
    seeds = None, 1, 1, 2
    quiet, one, same, other = (
        transformer(source, target, params, *masks, config=config,
                    rng=None if seed is None else np.random.default_rng(seed))[0]
        for seed in seeds
    )
    plain = dataclasses.replace(config, dropout=0.0)
    assert_array_equal(quiet, transformer(source, target, params, *masks, config=plain)[0])
    assert_array_equal(one, same)
    assert (one != other).any() and (one != quiet).any()


@pytest.mark.parametrize("Ts, Tt", [(0, 4), (5, 0)])
def test_no_tokens(make_model, Ts, Tt):
    (config, params), source, target = make_model(), np.zeros((2, Ts), int), np.ones((2, Tt), int)
    logits, cache = transformer(source, target, params, config=config)
    assert logits.shape == (2, Tt, 5) and np.isfinite(logits).all()
    assert all(np.isfinite(leaf).all() for leaf in tree_leaves(transformer_backward(logits, cache)))


@both_norms
def test_convention(convention, make_model, batch, norm):
    config, params = make_model(norm=norm, scale_embeddings=True, dropout=0.3)
    source, target, *masks = batch
    options = dict(config=config, rng=np.random.default_rng(3))
    convention(transformer, transformer_backward, source, target, params, *masks, **options)


# ---- gradients ----


@pytest.mark.thorough
@pytest.mark.parametrize("options", [
    {"norm": "pre"}, {"norm": "post", "scale_embeddings": True, "activation": "gelu"},
    {"norm": "pre", "dropout": 0.3, "activation": "gelu_tanh"}, {"norm": "pre", "packed": True},
], ids=["pre", "post", "dropout", "packed"])
def test_gradients(assert_gradients, make_model, batch, rng, options):
    (config, params), (source, target, *masks) = make_model(**options), batch
    args, options = (source, target, params, *masks), dict(config=config, rng=rng)
    assert_gradients(transformer, transformer_backward, *args, max_entries=1, **options)


@both_norms
def test_gradients_of_a_decoder_alone(assert_gradients, make_model, batch, draw, norm):
    (config, params), (_, target, source_mask, target_mask) = make_model(norm=norm), batch
    args = target, draw(3, 5, 4), params.decode, target_mask, source_mask
    assert_gradients(decode, decode_backward, *args, config=config, max_entries=1)


def test_gradients_reach_every_parameter(make_model, batch, draw):
    config, params = make_model(norm="pre", encoder_blocks=2, decoder_blocks=2)
    _, cache = transformer(*batch[:2], params, *batch[2:], config=config)
    for path, dX in tree_items(transformer_backward(draw(3, 4, 5), cache)):
        if path.endswith("key.b"):  # adds the same to every score of a query: no weight moves
            assert np.abs(dX).max() < 1e-13
        else:
            assert np.abs(dX).max() > 1e-6, path


# ---- errors ----


@pytest.mark.parametrize("options, message", [
    ({"source_vocabulary": 0}, "source_vocabulary must be at least 1, got 0"),
    ({"target_vocabulary": 0}, "target_vocabulary must be at least 1, got 0"),
    ({"width": 0}, "width must be at least 1, got 0"),
    ({"hidden": -1}, "hidden must be at least 1, got -1"),
    ({"num_heads": 0}, "num_heads must be at least 1, got 0"),
    ({"num_heads": 3}, "num_heads=3 for a width of 4"),
    ({"norm": "both"}, 'norm must be "post", "pre" or "sandwich", got \'both\''),
    ({"decoder_blocks": 0}, "decoder_blocks must be at least 1, got 0"),
    ({"encoder_blocks": -1}, "encoder_blocks must be at least .*, got -1"),
    ({"activation": "swish"}, 'activation must be "relu", .* got .swish'),
    ({"dropout": 1.0}, r"dropout .* \[0, 1\), got 1.0"),
])
def test_configurations_that_make_no_sense(make_model, options, message):
    with pytest.raises(ValueError, match=message):
        make_model(**options)


def test_a_configuration_does_not_change(make_model):
    config, _ = make_model()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.width = 8
    assert config.block_options(None)["num_heads"] == 2
    assert math.isclose(config.dropout, 0.0)


@pytest.mark.parametrize("place, change, error, message", [
    (0, lambda ids: ids + 7, ValueError, "ids must lie in 0 … 6"),
    (1, lambda ids: ids - 5, ValueError, "ids must lie in 0 … 4"),
    (0, lambda ids: ids.astype(float), TypeError, "ids must be an integer array, got float64"),
    (1, lambda ids: ids[:2], ValueError, "leading axes that do not broadcast"),
    (2, lambda mask: mask[:, :4], ValueError, r"mask \(3, 4\) .* the tokens \(3, 5\)"),
    (3, lambda mask: mask[:, :3], ValueError, r"mask \(3, 3\) .* the tokens \(3, 4\)"),
    (2, lambda mask: mask.astype(float), TypeError, "mask must be a boolean array .* got float64"),
    (2, lambda mask: mask.tolist(), TypeError, "mask must be a boolean array .* got list"),
    (3, lambda mask: mask.astype(int), TypeError, "mask must be a boolean array .* got int64"),
])
def test_inputs_that_do_not_fit(make_model, batch, place, change, error, message):
    config, params = make_model()
    batch = list(batch)
    batch[place] = change(batch[place])
    if place == 1 and len(batch[1]) == 2:
        batch[3] = None
    with pytest.raises(error, match=message):
        transformer(*batch[:2], params, *batch[2:], config=config)


def test_a_memory_that_is_none_is_named(make_model, batch):
    config, params = make_model()
    for M, error, message in (([[0.0] * 4], TypeError, "^M must be a NumPy array, got list"),
                              (np.zeros(4), ValueError, "^M has 1 ax.s, and needs at least 2")):
        with pytest.raises(error, match=message):
            decode(batch[1], M, params.decode, config=config)
