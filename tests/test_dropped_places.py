"""How many numbers each model draws for dropout: one for every entry of every place that has it.

A generator that is not handed on is not missed by gradients: without it, nothing is dropped there,
forward and backward. The generator itself tells: what was drawn has moved it on.
"""

from functools import partial

import numpy as np
import pytest

from npattn.models.config import BlockOptions
from npattn.models.decoder import decoder, init_decoder
from npattn.models.encoder import encoder, init_encoder
from npattn.models.scored_attention import scored_attention
from npattn.models.seq2seq import Seq2SeqConfig, init_seq2seq, seq2seq
from npattn.models.time_series import TimeSeriesConfig, init_time_series, time_series_transformer
from npattn.models.transformer import TransformerConfig, init_transformer, transformer
from npattn.models.vision import VisionConfig, init_vision, vision_transformer

B, TQ, TK, D, H, F = 2, 4, 6, 8, 2, 10
OPTIONS = BlockOptions(num_heads=H, dropout=0.25)


def self_block(T, batch=B):
    """A block of self-attention: its weights, and what its two sublayers return."""
    return batch * (H * T * T + 2 * T * D)


def cross_block():
    """One of self-attention and cross-attention: two sets of weights, three sublayers."""
    return B * (H * TQ * TQ + H * TQ * TK + 3 * TQ * D)


def an_encoder(rng):
    params = init_encoder(D, F, 3, np.random.default_rng(0), options=OPTIONS)
    encoder(np.ones((B, TK, D)), params, options=OPTIONS, rng=rng)
    return 3 * self_block(TK)


def a_decoder(rng):
    params = init_decoder(D, F, 3, np.random.default_rng(0), options=OPTIONS)
    decoder(np.ones((B, TQ, D)), np.ones((B, TK, D)), params, options=OPTIONS, rng=rng)
    return 3 * cross_block()


def a_transformer(rng):
    config = TransformerConfig(11, 13, width=D, num_heads=H, hidden=F, encoder_blocks=2,
                               decoder_blocks=3, dropout=0.25)
    params = init_transformer(config, np.random.default_rng(0))
    transformer(np.ones((B, TK), int), np.ones((B, TQ), int), params, config=config, rng=rng)
    return B * (TK + TQ) * D + 2 * self_block(TK) + 3 * cross_block()


def a_time_series(rng):
    config = TimeSeriesConfig((TK, D), num_heads=H, hidden=F, num_blocks=2, dropout=0.25)
    params = init_time_series(config, np.random.default_rng(0))
    time_series_transformer(np.ones((B, TK, D)), params, config=config, rng=rng)
    return B * TK * D + 2 * self_block(TK)


def a_vision_transformer(rng):
    config = VisionConfig((1, 4, 4), 2, width=D, num_heads=H, hidden=F, num_blocks=2, dropout=0.25)
    params = init_vision(config, np.random.default_rng(0))
    vision_transformer(np.ones((B, 1, 4, 4)), params, config=config, rng=rng)
    return B * 5 * D + 2 * self_block(5)


def a_recurrent_model(rng):
    config = Seq2SeqConfig(11, 13, embedding=D, width=F, num_layers=2, dropout=0.25)
    params = init_seq2seq(config, np.random.default_rng(0))
    seq2seq(np.ones((B, TK), int), np.ones((B, TQ), int), params, config=config, rng=rng)
    between = B * TK * F + B * TQ * F  # of the two layers
    return between + B * TQ * TK       # and the weights of each step


def a_scored_attention(rng, sink=None):
    Q, K = np.ones((B, H, TQ, D)), np.ones((B, H, TK, D))
    scored_attention(Q, K, K, None, None, sink, dropout=0.25, rng=rng)
    return B * H * TQ * (TK if sink is None else TK + 1)


@pytest.mark.parametrize("model", [
    an_encoder, a_decoder, a_transformer, a_time_series, a_vision_transformer, a_recurrent_model,
    a_scored_attention, partial(a_scored_attention, sink=np.zeros(H)),
])
def test_every_place_of_dropout_draws_its_numbers(model):
    rng, other = np.random.default_rng(5), np.random.default_rng(5)
    count = model(rng)
    other.random(count, dtype=np.float32)
    assert rng.random(3, dtype=np.float32).tolist() == other.random(3, dtype=np.float32).tolist()
