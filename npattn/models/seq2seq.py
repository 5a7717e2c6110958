"""The encoder–decoder of Bahdanau et al.: GRUs that read, and GRUs that write and attend.

    encode   source ids → recurrent_encoder → memory M (..., Ts, Dh) and a state per layer
    decode   target ids, M, states → recurrent_decoder → logits (..., Tt, C)

Before it writes a token the decoder asks, with its top state, where in the source to look; these
weights are the first attention there was. Training forces the right target tokens on it, decoding
feeds back its own.
Source: Bahdanau, Cho and Bengio 2015, "Neural Machine Translation by Jointly Learning to Align
and Translate"; d2l 11.4 (Chinese edition 10.4). The text's encoder also reads the padding behind
a sentence; here a source_mask keeps its states from it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from npattn.kernels.embedding import embedding
from npattn.kernels.floats import quiet
from npattn.kernels.gru_cell import RESETS
from npattn.kernels.linear import linear
from npattn.kernels.options import require_choice, require_rate
from npattn.models.config import require_sizes
from npattn.models.recurrent_decoder import (
    RecurrentDecoderCache, RecurrentDecoderParams, init_recurrent_decoder, recurrent_decoder,
    recurrent_decoder_backward, recurrent_step,
)
from npattn.models.recurrent_encoder import (
    RecurrentEncoderCache, RecurrentEncoderParams, init_recurrent_encoder, recurrent_encoder,
    recurrent_encoder_backward,
)
from npattn.models.search import greedy_answers, require_sentences


@dataclass(frozen=True)
class Seq2SeqConfig:
    """The sizes and switches of seq2seq: everything that is no array."""

    source_vocabulary: int
    target_vocabulary: int
    embedding: int = 32    # De
    width: int = 32        # Dh, of states, memory and attention
    num_layers: int = 2    # of the encoder and of the decoder
    reset: str = "before"  # "after" as in torch
    dropout: float = 0.0

    def __post_init__(self):
        vocabularies = "source_vocabulary", "target_vocabulary"
        require_sizes(self, *vocabularies, "embedding", "width", "num_layers")
        require_choice("reset", self.reset, RESETS)
        require_rate(self.dropout)

    def options(self, rng):
        """What encoder and decoder are told."""
        return dict(reset=self.reset, dropout_rate=self.dropout, rng=rng)


class Seq2SeqParams(NamedTuple):
    """What seq2seq learns. The gradient has the same type."""

    encoder: RecurrentEncoderParams
    decoder: RecurrentDecoderParams


class Seq2SeqCache(NamedTuple):
    """What seq2seq_backward reads. `decoder.steps[t].attention.P` are the weights of step t."""

    encoder: RecurrentEncoderCache
    decoder: RecurrentDecoderCache


def init_seq2seq(config, rng, *, dtype=np.float64):
    """Parameters for `config`: embeddings standard normal, all else Glorot-uniform."""
    sizes = config.embedding, config.width, config.num_layers, rng
    options = dict(hidden_bias=config.reset == "after", dtype=dtype)
    return Seq2SeqParams(
        init_recurrent_encoder(config.source_vocabulary, *sizes, **options),
        init_recurrent_decoder(config.target_vocabulary, *sizes, **options),
    )


@quiet
def seq2seq(source, target, params, source_mask=None, *, config, rng=None):
    """Logits for the token after each target token, given the source.

    source, target  (..., Ts) and (..., Tt), integers; target starts with the token that begins
                    a sentence
    params          Seq2SeqParams
    source_mask     (..., Ts) bool, True = a real token
    config          Seq2SeqConfig
    rng             Generator for dropout, or None

    Returns logits (..., Tt, target_vocabulary) and the cache.
    """
    options = config.options(rng)
    (M, states), encoded = recurrent_encoder(source, params.encoder, source_mask, **options)
    logits, decoded = recurrent_decoder(
        target, states, M, params.decoder, source_mask, **options
    )
    return logits, Seq2SeqCache(encoded, decoded)


@quiet
def seq2seq_backward(dlogits, cache: Seq2SeqCache):
    """dparams from dlogits: the decoder undone, then the encoder."""
    dstates, dM, ddecoder = recurrent_decoder_backward(dlogits, cache.decoder)
    return Seq2SeqParams(recurrent_encoder_backward((dM, dstates), cache.encoder), ddecoder)


def translate(source, params, source_mask=None, *, config, bos, eos, max_len):
    """The likeliest token at every step, until `eos` or `max_len` tokens.

    source       (B, Ts)  integers
    params       Seq2SeqParams
    source_mask  (B, Ts)  bool, True = a real token
    bos, eos     the ids that begin and end an answer
    max_len      the most tokens of an answer, its end included

    Returns a list of B `Answer` and the weights P (B, steps, Ts): what each step looked at. Rows
    of P behind an answer's end have no meaning.
    """
    require_sentences(source)
    options, decoder = config.options(None), params.decoder
    (M, states), _ = recurrent_encoder(source, params.encoder, source_mask, **options)

    def step(newest, state):
        states, P = state
        X, _ = embedding(newest, decoder.embedding)
        states, cache = recurrent_step(X, states, M, decoder.step, source_mask, **options)
        logits, _ = linear(states[-1], decoder.output)
        return logits, (states, np.concatenate([P, cache.attention.P], axis=1))

    start = states, np.empty((len(source), 0, source.shape[1]), M.dtype)
    limits = dict(bos=bos, eos=eos, max_len=max_len)
    answers, (_, P) = greedy_answers(step, start, len(source), **limits)
    return answers, P
