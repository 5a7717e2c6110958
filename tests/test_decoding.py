"""Decoding step by step: every step must say what decoding the whole prefix says."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.layer_norm import layer_norm
from npattn.kernels.positions import sinusoidal_positions
from npattn.models.decoding import decode_step, select_rows, start_decoding
from npattn.models.transformer import TransformerConfig, decode, encode, init_transformer
from npattn.trees import tree_leaves, tree_map

MODELS = {
    "pre": {"norm": "pre"},
    "post": {"norm": "post", "scale_embeddings": True},
    "gelu": {"norm": "pre", "activation": "gelu", "decoder_blocks": 3, "num_heads": 1},
    "modern": {
        "norm": "pre", "normalization": "rms_norm", "bias": False, "activation": "silu",
        "gated": True, "head_width": 4, "num_kv_heads": 1, "rotary": "halves", "window": (3, 0),
        "qk_norm": True,
        "sink": True, "cap": 5.0, "eps": 1e-3,
    },
    "dropout": {"norm": "post", "activation": "gelu_tanh", "dropout": 0.5},
}
every_model = pytest.mark.parametrize("options", MODELS.values(), ids=MODELS)


@pytest.fixture
def make_decoder(rng, shake):
    """config, decoder parameters, memory (3, 4, 6) and source mask; one source is all padding."""

    def make(**options):
        sizes = dict(width=6, num_heads=3, hidden=7, decoder_blocks=2)
        config = TransformerConfig(8, 5, **{**sizes, **options})
        params = shake(init_transformer(config, rng))
        source, mask = rng.integers(0, 8, (3, 4)), np.arange(4) < np.array([[4], [2], [0]])
        M, _ = encode(source, params.encode, mask, config=config)
        return config, params.decode, M, mask

    return make


@pytest.fixture
def target(rng):
    return rng.integers(0, 5, (3, 6))


def steps(target, state, params, config):
    """The logits after each token of target, (B, T, C), and the last state."""
    found = []
    for tokens in target.T:
        logits, state = decode_step(tokens, state, params, config=config)
        found.append(logits)
    return np.stack(found, axis=1), state


def freeze(tree):
    for leaf in tree_leaves(tree):
        if isinstance(leaf, np.ndarray):
            leaf.setflags(write=False)
    return tree


# ---- against the whole prefix ----


@every_model
@pytest.mark.parametrize("masked", [True, False])
def test_every_step_agrees_with_the_whole_prefix(make_decoder, target, options, masked):
    config, params, M, mask = make_decoder(**options)
    mask = mask if masked else None
    expected, _ = decode(target, M, params, None, mask, config=config)
    found, state = steps(target, start_decoding(M, params, mask, config=config), params, config)
    assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert state.length == 6


def test_token_t_stands_at_position_t(make_decoder):
    # a decoder that only passes on what it reads: no token, no attention, no feed-forward
    config, params, M, mask = make_decoder(norm="pre", width=4, num_heads=2, decoder_blocks=1)
    norm, zero = params.stack.norm, tree_map(np.zeros_like, params)
    unit = zero.output._replace(W=np.eye(4, 5))
    params = zero._replace(stack=zero.stack._replace(norm=norm), output=unit)
    state = start_decoding(M, params, mask, config=config)
    found, _ = steps(np.zeros((3, 6), int), state, params, config)
    expected, _ = layer_norm(sinusoidal_positions(6, 4), norm)
    assert_allclose(found[..., :4], np.broadcast_to(expected, (3, 6, 4)), rtol=0, atol=1e-14)
    assert (np.abs(found[:, 1:] - found[:, :1]).max(axis=-1) > 1e-2).all()


def test_a_padded_source_decodes_as_if_alone(make_decoder, target):
    config, params, M, mask = make_decoder()
    found, _ = steps(target, start_decoding(M, params, mask, config=config), params, config)
    for b, n in enumerate(mask.sum(axis=-1)):
        state = start_decoding(M[b : b + 1, :n], params, config=config)
        alone, _ = steps(target[b : b + 1], state, params, config)
        assert_allclose(alone[0], found[b], rtol=0, atol=1e-12)


# ---- the state ----


def test_the_state_grows_by_one_key_and_value_per_block(make_decoder, target):
    config, params, M, mask = make_decoder()
    state = start_decoding(M, params, mask, config=config)
    assert [K.shape for K in state.memory_keys] == [(3, 3, 4, 2)] * 2
    assert state.memory_mask.shape == (3, 1, 1, 4)
    for t, tokens in enumerate(target.T):
        assert state.length == t
        assert [X.shape for X in state.keys + state.values] == [(3, 3, t, 2)] * 4
        _, later = decode_step(tokens, state, params, config=config)
        for old, new in zip(state.keys + state.values, later.keys + later.values, strict=True):
            assert_array_equal(new[..., :t, :], old)
        state = later


def test_a_state_is_never_written_to(make_decoder, target):
    config, params, M, mask = freeze(make_decoder())
    state = freeze(start_decoding(M, params, mask, config=config))
    before = tree_map(np.copy, state)
    one, after = decode_step(target[:, 0], state, params, config=config)
    decode_step(target[:, 1], freeze(after), params, config=config)
    decode_step(target[:, 2], state, params, config=config)  # another way on from the same state
    again, _ = decode_step(target[:, 0], state, params, config=config)
    assert_array_equal(again, one)
    for found, expected in zip(tree_leaves(state), tree_leaves(before), strict=True):
        assert_array_equal(found, expected)


@pytest.mark.parametrize("rows", [
    [2, 0], [1, 1, 0, 2], [0], [], [True, False, True]
], ids=str)
@pytest.mark.parametrize("masked", [True, False])
def test_selected_rows_go_on_as_they_would_have(make_decoder, target, rows, masked):
    config, params, M, mask = make_decoder()
    rows = np.array(rows, dtype=bool if True in map(lambda r: r is True, rows) else int)
    state = start_decoding(M, params, mask if masked else None, config=config)
    _, state = steps(target[:, :3], state, params, config)
    expected, _ = steps(target[:, 3:], state, params, config)
    found, _ = steps(target[rows, 3:], select_rows(freeze(state), rows), params, config)
    assert_allclose(found, expected[rows], rtol=0, atol=1e-13)


def test_single_precision_stays(make_decoder, target):
    config, params, M, mask = make_decoder()
    params, M = tree_map(lambda X: X.astype(np.float32), (params, M))
    found, state = steps(target, start_decoding(M, params, mask, config=config), params, config)
    assert found.dtype == np.float32
    arrays = state.keys + state.values + state.memory_keys + state.memory_values
    assert {X.dtype for X in arrays} == {np.dtype(np.float32)}


def test_a_step_draws_nothing(make_decoder, target):
    config, params, M, mask = make_decoder(dropout=0.5)
    state = start_decoding(M, params, mask, config=config)
    found, _ = decode_step(target[:, 0], state, params, config=config)
    assert_array_equal(found, decode_step(target[:, 0], state, params, config=config)[0])


def test_a_step_computes_by_attention_whatever_the_kernel(make_decoder, target):
    config, params, M, mask = make_decoder()
    state = start_decoding(M, params, mask, config=config)
    found, tiled = (decode_step(target[:, 0], state, params, config=replace(config, kernel=kernel))
                    for kernel in ("attention", "tiled"))
    assert_array_equal(found[0], tiled[0])


# ---- errors ----


def test_tokens_must_be_in_the_vocabulary(make_decoder):
    config, params, M, mask = make_decoder()
    state = start_decoding(M, params, mask, config=config)
    with pytest.raises(ValueError, match="ids must lie in 0 … 4, the rows of E; got 1 … 5"):
        decode_step(np.array([1, 5, 2]), state, params, config=config)
    with pytest.raises(TypeError, match="tokens must be an integer array, got float64"):
        decode_step(np.zeros(3), state, params, config=config)


def test_a_mask_must_fit_the_memory(make_decoder, target):
    config, params, M, mask = make_decoder()
    with pytest.raises(ValueError, match=r"mask \(3, 3\) .* the tokens \(3, 4\)"):
        steps(target, start_decoding(M, params, mask[:, :3], config=config), params, config)
