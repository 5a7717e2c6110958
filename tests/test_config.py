"""What the configs of all models ask of their fields."""

from dataclasses import fields
from functools import partial

import pytest

from npattn.models.bert import BertConfig
from npattn.models.config import CAT, BlockOptions
from npattn.models.language_model import LanguageModelConfig
from npattn.models.seq2seq import Seq2SeqConfig
from npattn.models.time_series import TimeSeriesConfig
from npattn.models.transformer import TransformerConfig
from npattn.models.vision import VisionConfig

CONFIGS = {
    "Transformer": partial(TransformerConfig, 5, 7),
    "Vision": VisionConfig,
    "TimeSeries": TimeSeriesConfig,
    "Seq2Seq": partial(Seq2SeqConfig, 5, 7),
}
BLOCKS = "Transformer", "Vision", "TimeSeries"


PLAIN = dict(
    num_heads=None, num_kv_heads=None, head_width=None, rotary=None, window=None, qk_norm=False,
    sink=False, cap=None, scale=None, norm="post", normalization="layer_norm", eps=1e-5,
    activation="relu", gated=False, bias=True, kernel="attention", dropout=0.0,
)
LLAMA = dict(
    num_heads=2, norm="pre", normalization="rms_norm", eps=1e-6, activation="silu", gated=True,
    bias=False, rotary="interleaved",
)


@pytest.mark.parametrize("config, own", [
    (BlockOptions(), {}),
    (TransformerConfig(5, 7), dict(num_heads=4, norm="pre")),
    (VisionConfig(), dict(num_heads=4, norm="pre", activation="gelu")),
    (TimeSeriesConfig(), dict(num_heads=3, dropout=0.1)),
    (BertConfig(), dict(activation="gelu", eps=1e-12)),
    (LanguageModelConfig(3, 4, num_heads=2, num_blocks=1, hidden=2, context=9), LLAMA),
    (CAT, dict(num_heads=1, norm="pre", activation="gelu")),
])
def test_what_the_blocks_of_a_model_are_unless_told_otherwise(config, own):
    assert {**PLAIN, **own} == {name: getattr(config, name) for name in PLAIN}
    assert config.block_options(None) == {**PLAIN, **own, "rng": None}


def test_the_heads_stand_behind_the_width_and_other_options_have_no_place():
    for config in (TransformerConfig(5, 7, 6, 3, 9), VisionConfig((1, 8, 8), 2, 10, 6, 3, 9),
                   TimeSeriesConfig((4, 5), (2,), 6, 3, 9)):
        assert (config.width, config.num_heads, config.hidden) == (6, 3, 9)
        places = [f.name for f in fields(config) if not f.kw_only]
        assert {*places} & {*PLAIN} == {"num_heads"}
        assert [f.name for f in fields(config)][len(places):] == [
            name for name in PLAIN if name != "num_heads"]
    for config in (BertConfig, LanguageModelConfig):
        assert not {f.name for f in fields(config) if not f.kw_only} & {*PLAIN}


def assert_refused(name, field, value, message, error=ValueError):
    with pytest.raises(error) as caught:
        CONFIGS[name](**{field: value})
    assert message in str(caught.value)


@pytest.mark.parametrize("name, fields", [
    ("Transformer", "width num_heads hidden encoder_blocks decoder_blocks"),
    ("Vision", "patch classes width num_heads hidden"),
    ("TimeSeries", "width num_heads hidden"),
    ("Seq2Seq", "embedding width num_layers"),
])
def test_sizes_are_positive_integers(name, fields):
    for field in fields.split():
        assert_refused(name, field, 0, f"{field} must be at least 1, got 0")
        assert_refused(name, field, 2.0, f"{field} must be an integer, got 2.0", TypeError)


@pytest.mark.parametrize("config", [TransformerConfig, Seq2SeqConfig])
def test_vocabularies_are_positive(config):
    with pytest.raises(ValueError, match="source_vocabulary must be at least 1, got 0"):
        config(0, 7)
    with pytest.raises(ValueError, match="target_vocabulary must be at least 1, got -1"):
        config(5, -1)


@pytest.mark.parametrize("name", ["Vision", "TimeSeries"])
def test_a_number_of_blocks_may_be_none_but_not_less(name):
    CONFIGS[name](num_blocks=0)
    assert_refused(name, "num_blocks", -1, "num_blocks must be at least 0, got -1")


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("rate", [2, -0.1])
def test_rates(name, rate):
    assert_refused(name, "dropout", rate, f"dropout rate must lie in [0, 1), got {rate}")


@pytest.mark.parametrize("name, field, words", [
    *((name, "activation", '"relu", "gelu", "gelu_tanh" or "silu"') for name in BLOCKS),
    *((name, "kernel", '"attention", "tiled" or "auto"') for name in BLOCKS),
    ("Transformer", "norm", '"post", "pre" or "sandwich"'),
    ("TimeSeries", "norm", '"post", "pre" or "sandwich"'),
    ("Vision", "pool", '"class" or "mean"'),
    ("Seq2Seq", "reset", '"before" or "after"'),
])
def test_names(name, field, words):
    assert_refused(name, field, "geluu", f"{field} must be {words}, got 'geluu'")


@pytest.mark.parametrize("name, width", [("Transformer", 64), ("Vision", 32), ("TimeSeries", 9)])
def test_heads_divide_the_width(name, width):
    assert_refused(name, "num_heads", 5, f"got num_heads=5 for a width of {width}")


def test_shapes_may_come_as_lists():
    assert VisionConfig(image_shape=[1, 8, 8]) == VisionConfig(image_shape=(1, 8, 8))
    series = TimeSeriesConfig(input_shape=[32, 9], output_shape=[4, 8])
    assert (series.input_shape, series.output_shape) == ((32, 9), (4, 8))
    assert hash(series) == hash(TimeSeriesConfig())


@pytest.mark.parametrize("name, field, shape, message", [
    ("Vision", "image_shape", (8, 8), "image_shape must be (C, H, W), got (8, 8)"),
    ("Vision", "image_shape", (1, 0, 8), "image_shape[1] must be at least 1, got 0"),
    ("TimeSeries", "input_shape", (32, 9, 1), "input_shape must be (T, M), got (32, 9, 1)"),
    ("TimeSeries", "output_shape", (4, -8), "output_shape[1] must be at least 1, got -8"),
])
def test_shapes_that_make_no_sense(name, field, shape, message):
    assert_refused(name, field, shape, message)


def test_queries_and_keys_are_normalized_with_the_eps_of_the_config():
    assert BlockOptions(num_heads=2, qk_norm=True, eps=0.5).attended(None)["qk_eps"] == 0.5
    assert "qk_eps" not in BlockOptions(num_heads=2, eps=0.5).attended(None)
