"""Weights to start with, and every init_ function that draws them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn import nn
from npattn.kernels.additive import init_additive
from npattn.kernels.alibi import alibi_slopes
from npattn.kernels.gru_cell import init_gru
from npattn.kernels.embedding import normal
from npattn.kernels.layer_norm import init_layer_norm
from npattn.kernels.linear import glorot_uniform, init_linear
from npattn.kernels.positions import sinusoidal_positions
from npattn.models.cat import init_cat
from npattn.models.co_attention import init_bidirectional
from npattn.models.decoder import init_decoder
from npattn.models.encoder import init_encoder
from npattn.models.language_model import LanguageModelConfig, init_language_model
from npattn.models.multihead import init_multihead
from npattn.models.seq2seq import Seq2SeqConfig, init_seq2seq
from npattn.models.time_series import TimeSeriesConfig, init_time_series
from npattn.models.transformer import TransformerConfig, init_transformer
from npattn.models.vision import VisionConfig, init_vision
from npattn.trees import tree_leaves

DRAWN = {
    "glorot_uniform": lambda rng, dtype: glorot_uniform(3, 2, rng, dtype),
    "normal": lambda rng, dtype: normal(0.1, (3, 2), rng, dtype),
    "init_linear": lambda rng, dtype: init_linear(3, 2, rng, dtype=dtype),
    "init_additive": lambda rng, dtype: init_additive(3, 2, 4, rng, dtype=dtype),
    "init_gru": lambda rng, dtype: init_gru(3, 2, rng, dtype=dtype),
    "init_encoder": lambda rng, dtype: init_encoder(4, 6, 1, rng, dtype=dtype),
    "init_decoder": lambda rng, dtype: init_decoder(4, 6, 1, rng, dtype=dtype),
    "init_time_series": lambda rng, dtype: init_time_series(
        TimeSeriesConfig((4, 5), width=3, hidden=2, num_blocks=1), rng, dtype=dtype
    ),
    "init_vision": lambda rng, dtype: init_vision(VisionConfig(), rng, dtype=dtype),
    "init_seq2seq": lambda rng, dtype: init_seq2seq(Seq2SeqConfig(5, 5), rng, dtype=dtype),
    "init_language_model": lambda rng, dtype: init_language_model(
        LanguageModelConfig(5, 4, num_heads=2, num_blocks=1, hidden=3, context=6, qk_norm=True,
                            sink=True, rotary=None, norm="sandwich"), rng, tied=False, dtype=dtype
    ),
    "init_cat": lambda rng, dtype: init_cat(3, 5, rng, patch=2, dtype=dtype),
    "init_bidirectional": lambda rng, dtype: init_bidirectional(3, 4, 2, rng, dtype=dtype),
    "init_multihead": lambda rng, dtype: init_multihead(
        4, rng, num_heads=2, sink=True, qk_norm=True, extra_key=True, dtype=dtype
    ),
    "init_transformer": lambda rng, dtype: init_transformer(
        TransformerConfig(5, 5), rng, dtype=dtype
    ),
}
TYPED = {
    "init_layer_norm": lambda dtype: init_layer_norm(3, dtype=dtype),
    "MultiHeadAttention": lambda dtype: nn.MultiHeadAttention(4, 2, rng=0, dtype=dtype),
    "sinusoidal_positions": lambda dtype: sinusoidal_positions(3, 4, dtype=dtype),
    "alibi_slopes": lambda dtype: alibi_slopes(4, dtype=dtype),
    "Embedding": lambda dtype: nn.Embedding(5, 3, rng=0, dtype=dtype),
}


# ---- values ----


def test_layers_are_uniform_between_bounds(rng):
    W = glorot_uniform(400, 200, rng)
    assert 0.0999 < W.max() <= 0.1 and -0.1 <= W.min() < -0.0999  # √(6 / 600)
    assert_allclose(W.var(), 2 / 600, rtol=0.02)


def test_tables_are_normal(rng):
    E = normal(0.5, (400, 200), rng)
    assert_allclose([E.mean(), E.std()], [0, 0.5], atol=0.005)


def test_models_begin_with_tables_of_the_size_that_they_say(rng):
    recurrent = init_seq2seq(Seq2SeqConfig(500, 500, embedding=40, width=2), rng)
    transformer = init_transformer(TransformerConfig(500, 500, 40, hidden=2), rng)
    vision = init_vision(VisionConfig((1, 40, 40), 2, width=40, hidden=2), rng)
    language = init_language_model(LanguageModelConfig(500, 40, num_heads=2, num_blocks=0, hidden=2,
                                                       context=500, rotary=None), rng, tied=False)
    found = {
        1.0: [recurrent.encoder.embedding, recurrent.decoder.embedding],
        40**-0.5: [transformer.encode.embedding, transformer.decode.embedding],
        0.02: [vision.positions, language.embedding, language.positions, language.output.W],
    }
    for size, tables in found.items():
        assert_allclose([table.std() for table in tables], size, rtol=0.03)


def test_a_sink_starts_at_0_and_norms_and_biases_do_nothing(rng):
    params = init_multihead(4, rng, num_heads=2, sink=True, qk_norm=True, extra_key=True)
    assert not params.sink.any() and not params.query.b.any() and params.extras.extra_key.all()
    assert all((gain == 1.0).all() for gain in params.extras.qk_norm)


@pytest.mark.parametrize("draw_one", [glorot_uniform, lambda *a: normal(1.0, a[:2], *a[2:])])
def test_the_same_seed_gives_the_same_numbers_rounded(draw_one):
    double = draw_one(5, 3, np.random.default_rng(4))
    single = draw_one(5, 3, np.random.default_rng(4), np.float32)
    assert single.dtype == np.float32
    assert_array_equal(single, double.astype(np.float32))


def test_no_rows_and_no_columns(rng):
    assert glorot_uniform(0, 0, rng).shape == (0, 0)


# ---- errors ----


@pytest.mark.parametrize("name", DRAWN)
def test_they_draw_from_a_generator_and_make_floats(name):
    with pytest.raises(TypeError, match="^rng must be a numpy.random.Generator, got int; make one"):
        DRAWN[name](0, np.float64)
    with pytest.raises(TypeError, match="^rng must be a numpy.random.Generator, got NoneType"):
        DRAWN[name](None, np.float64)
    with pytest.raises(TypeError, match="^dtype must be float32 or float64, got int64"):
        DRAWN[name](np.random.default_rng(0), np.int64)
    made = {leaf.dtype for leaf in tree_leaves(DRAWN[name](np.random.default_rng(0), np.float32))}
    assert made == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", TYPED)
def test_they_make_floats(name):
    with pytest.raises(TypeError, match="^dtype must be float32 or float64, got float16"):
        TYPED[name](np.float16)
