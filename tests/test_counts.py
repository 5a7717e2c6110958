"""Sizes, dtypes, generators and words that a function is given: where each begins to be refused.

A size that is the least one passes. One less, or a number with a fraction, is refused by its name;
so is a dtype that is no float32 or float64, another source of randomness, or another word.
"""

import numpy as np
import pytest

import npattn
from npattn.kernels import positional_masks
from npattn.kernels.alibi import alibi_bias, alibi_slopes
from npattn.kernels.attention_by_blocks import attention_by_blocks
from npattn.kernels.embedding import normal
from npattn.kernels.gru_cell import gru_cell, init_gru
from npattn.kernels.layer_norm import init_layer_norm
from npattn.kernels.linear import glorot_uniform
from npattn.kernels.linear_chunks import linear_attention_in_chunks
from npattn.kernels.linear_state import Gates, empty_state
from npattn.kernels.lora import init_lora
from npattn.kernels.mixture_of_experts import init_experts, mixture_of_experts
from npattn.kernels.positions import learned_positions, sinusoidal_positions
from npattn.kernels.rotary import rotary
from npattn.kernels.rotary_pairings import pairing_order
from npattn.kernels.rotary_speeds import llama3_scaling, rotary_speeds
from npattn.kernels.rotary_table import rotary_table
from npattn.kernels.spatial_attention import init_spatial_attention
from npattn.models.cat import cat_block, init_cat_block
from npattn.models.config import BlockOptions
from npattn.models.encoder import init_encoder
from npattn.models.feed_forward import feed_forward, init_feed_forward
from npattn.models.kernel_choice import chosen_attention, window_sides
from npattn.models.language_model import LanguageModelConfig
from npattn.models.normalize import normalize
from npattn.models.recurrent_encoder import init_gru_layers
from npattn.models.sampling import sample
from npattn.models.search import beam_search, greedy_answers
from npattn.models.seq2seq import Seq2SeqConfig
from npattn.models.time_series import TimeSeriesConfig
from npattn.models.transformer import TransformerConfig, init_transformer
from npattn.models.vision import VisionConfig
from npattn.trees import tree_leaves

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 4))
EXPERTS = init_experts(4, 5, 3, RNG)
LANGUAGE = dict(vocabulary=5, width=4, num_blocks=1, hidden=3, context=6, num_heads=1)
TRANSFORMER = dict(source_vocabulary=5, target_vocabulary=5, width=4, hidden=3, num_heads=1)
SEQ2SEQ = dict(source_vocabulary=5, target_vocabulary=5)
SMALL = TransformerConfig(**TRANSFORMER)


def searched(max_len):
    params = init_transformer(SMALL, np.random.default_rng(0))
    return beam_search(np.array([[1, 2]]), params, config=SMALL, bos=0, eos=1, max_len=max_len)


def size_of(config, name, given):
    return lambda n: config(**{**given, name: n})


# (function of the size, its name, the least that it may be)
SIZES = [
    (lambda n: glorot_uniform(n, 2, RNG), "Din", 0),
    (lambda n: glorot_uniform(2, n, RNG), "Dout", 0),
    (init_layer_norm, "D", 0),
    (lambda n: init_lora(n, 2, 2, RNG), "Din", 1), (lambda n: init_lora(2, n, 2, RNG), "Dout", 1),
    (lambda n: init_lora(2, 2, n, RNG), "rank", 1),
    (lambda n: init_experts(n, 2, 2, RNG), "D", 1), (lambda n: init_experts(2, n, 2, RNG), "F", 1),
    (lambda n: init_experts(2, 2, n, RNG), "E", 1),
    (lambda n: mixture_of_experts(X, EXPERTS, n), "k", 1),
    (lambda n: init_spatial_attention(RNG, k=n), "k", 1),
    (alibi_slopes, "num_heads", 1),
    (lambda n: alibi_bias(n, 2, np.ones(1)), "Tq", 0),
    (lambda n: alibi_bias(2, n, np.ones(1)), "Tk", 0),
    (lambda n: npattn.causal_mask(n), "Tq", 0), (lambda n: npattn.causal_mask(2, n), "Tk", 0),
    (lambda n: npattn.valid_lens_mask(np.zeros(1, int), n), "Tk", 0),
    (lambda n: positional_masks.window_mask(3, left=n), "left", 0),
    (lambda n: positional_masks.window_mask(3, right=n), "right", 0),
    (lambda n: sinusoidal_positions(n, 2), "T", 0), (lambda n: sinusoidal_positions(2, n), "D", 1),
    (lambda n: sinusoidal_positions(2, 2, offset=n), "offset", 0),
    (lambda n: rotary(X, offset=n), "offset", 0),
    (lambda n: pairing_order(2, "halves", num_heads=n), "num_heads", 1),
    (rotary_speeds, "width", 2),
    (lambda n: llama3_scaling(np.ones(2), 2.0, length=n), "length", 1),
    (lambda n: attention_by_blocks(X, X, X, block=n), "block", 1),
    (lambda n: linear_attention_in_chunks(X, X, X, Gates(), empty_state(X, X), chunk=n),
     "chunk", 1),
    (window_sides, "window", 1),
    (lambda n: sample(np.ones(3), RNG, top_k=n), "top_k", 1),
    (lambda n: greedy_answers(None, None, 1, bos=0, eos=1, max_len=n), "max_len", 0),
    (searched, "max_len", 0),
    (lambda n: init_encoder(4, 3, n, RNG, num_heads=1), "num_blocks", 0),
    (lambda n: init_gru_layers(2, 3, n, RNG, False, float), "num_layers", 1),
    *[(size_of(BlockOptions, name, {}), name, 1)
      for name in ("num_heads", "num_kv_heads", "head_width")],
    *[(size_of(LanguageModelConfig, name, LANGUAGE), name, least) for name, least in (
        ("vocabulary", 1), ("width", 1), ("context", 1), ("hidden", 1), ("num_blocks", 0))],
    *[(size_of(TransformerConfig, name, TRANSFORMER), name, 1) for name in (
        "source_vocabulary", "target_vocabulary", "width", "hidden", "encoder_blocks",
        "decoder_blocks")],
    *[(size_of(VisionConfig, name, dict(num_heads=1)), name, least) for name, least in (
        ("patch", 1), ("classes", 1), ("width", 1), ("hidden", 1), ("num_blocks", 0))],
    *[(size_of(TimeSeriesConfig, name, {"num_heads": 1}), name, least) for name, least in (
        ("width", 1), ("hidden", 1), ("num_blocks", 0))],
    (lambda n: TimeSeriesConfig(input_shape=(n, 3)), "input_shape[0]", 1),
    (lambda n: TimeSeriesConfig(output_shape=(2, n)), "output_shape[1]", 1),
    (lambda n: VisionConfig(image_shape=(n, 8, 8)), "image_shape[0]", 1),
    *[(size_of(Seq2SeqConfig, name, SEQ2SEQ), name, 1) for name in (
        "source_vocabulary", "target_vocabulary", "embedding", "width", "num_layers")],
]


@pytest.mark.parametrize(("call", "name", "least"), SIZES,
                         ids=[f"{i}-{name}" for i, (_, name, _) in enumerate(SIZES)])
def test_the_least_size_passes_and_one_less_is_named(call, name, least):
    call(least)
    with pytest.raises(ValueError) as caught:
        call(least - 1)
    assert str(caught.value) == f"{name} must be at least {least}, got {least - 1}"
    with pytest.raises(TypeError) as caught:
        call(least + 0.5)
    assert str(caught.value) == f"{name} must be an integer, got {least + 0.5}"


# (function of the offset, or of what else may lie to either side of 0)
@pytest.mark.parametrize("call", [
    lambda n: learned_positions(X, np.zeros((9, 4)), offset=n),
    lambda n: alibi_bias(2, 3, np.ones(1), offset=n),
    lambda n: positional_masks.distances(2, 3, n),
])
def test_an_offset_is_an_integer(call):
    call(np.int64(1))
    with pytest.raises(TypeError, match=r"^offset must be an integer, got 1\.0$"):
        call(1.0)


DTYPES = {
    "alibi_slopes": lambda d: alibi_slopes(3, dtype=d),
    "init_layer_norm": lambda d: init_layer_norm(3, dtype=d),
    "init_rms_norm": lambda d: npattn.init_rms_norm(3, dtype=d),
    "sinusoidal_positions": lambda d: sinusoidal_positions(3, 4, dtype=d),
    "rotary_table": lambda d: rotary_table(np.arange(3), np.ones(2), dtype=d),
    "normal": lambda d: normal(1.0, (2, 3), RNG, d),
    "glorot_uniform": lambda d: glorot_uniform(2, 3, RNG, d),
    "init_experts": lambda d: init_experts(2, 3, 2, RNG, dtype=d),
    "init_spatial_attention": lambda d: init_spatial_attention(RNG, dtype=d),
    "init_gru": lambda d: init_gru(2, 3, RNG, hidden_bias=True, dtype=d),
    "init_feed_forward": lambda d: init_feed_forward(2, 3, RNG, dtype=d),
}


@pytest.mark.parametrize("name", DTYPES)
def test_what_is_made_has_the_dtype_that_was_asked_for_and_no_other_kind(name):
    for dtype in (np.float32, np.float64):
        assert {leaf.dtype for leaf in tree_leaves(DTYPES[name](dtype))} == {np.dtype(dtype)}
    for dtype in (np.float16, np.int64, complex):
        with pytest.raises(TypeError, match="^dtype must be float32 or float64, got "):
            DTYPES[name](dtype)


@pytest.mark.parametrize("call", [
    lambda rng: normal(1.0, (2, 3), rng), lambda rng: glorot_uniform(2, 3, rng),
    lambda rng: init_lora(2, 3, 1, rng), lambda rng: init_experts(2, 3, 2, rng),
    init_spatial_attention, lambda rng: npattn.dropout(X, 0.5, rng),
    lambda rng: sample(np.ones(3), rng),
])
def test_randomness_comes_from_a_generator(call):
    call(np.random.default_rng(0))
    with pytest.raises(TypeError, match=r"^rng must be a numpy\.random\.Generator, got int; "):
        call(0)


WORDS = [
    ("pairing", lambda w: rotary(X, pairing=w), ("interleaved", "halves")),
    ("to", lambda w: pairing_order(4, w), ("interleaved", "halves")),
    ("reset", lambda w: gru_cell(X, X, init_gru(4, 4, RNG, hidden_bias=True), reset=w),
     ("before", "after")),
    ("reset", lambda w: Seq2SeqConfig(5, 5, reset=w), ("before", "after")),
    ("reduction", lambda w: npattn.cross_entropy(X, np.zeros((2, 3), int), reduction=w),
     ("mean", "sum", "none")),
    ("kernel", lambda w: chosen_attention(X, X, X, kernel=w), ("attention", "tiled", "auto")),
    ("kernel", lambda w: BlockOptions(kernel=w), ("attention", "tiled", "auto")),
    ("normalization", lambda w: normalize(X, init_layer_norm(4), normalization=w), ("layer_norm",)),
    ("normalization", lambda w: BlockOptions(normalization=w), ("layer_norm", "rms_norm")),
    ("activation", lambda w: feed_forward(X, init_feed_forward(4, 3, RNG), activation=w),
     ("relu", "gelu", "silu")),
    ("activation", lambda w: BlockOptions(activation=w), ("relu", "gelu", "silu")),
    ("norm", lambda w: BlockOptions(norm=w), ("post", "pre", "sandwich")),
    ("rotary", lambda w: BlockOptions(rotary=w), ("interleaved", "halves")),
    ("pool", lambda w: VisionConfig(pool=w), ("class", "mean")),
    ("kind", lambda w: init_cat_block(4, 3, RNG, kind=w, patch=1), ("inner", "cross")),
    ("kind", lambda w: cat_block(X, init_cat_block(4, 3, RNG, kind="inner", patch=1), kind=w,
                                 patch=1), ("inner",)),
]


@pytest.mark.parametrize(("name", "call", "words"), WORDS,
                         ids=[f"{i}-{name}" for i, (name, *_) in enumerate(WORDS)])
def test_a_word_is_one_of_those_that_the_error_lists(name, call, words):
    for word in words:
        call(word)
    with pytest.raises(ValueError, match=f'^{name} must be ".* or ".*", got \'other\'$') as caught:
        call("other")
    assert all(f'"{word}"' in str(caught.value) for word in words)
