"""What both editions share of the Transformer's encoder and decoder: embedding, positions, blocks.

The parameters have the types of npattn.models.transformer, so that its `encode` and `decode` with
norm="post" and scale_embeddings=True compute the same, and its searches run on them.
Source: d2l 11.7; in the Chinese edition 10.7.
"""

import math

from npattn.d2l._layers import Composite
from npattn.d2l._seq2seq import AttentionDecoder
from npattn.models.decoder import DecoderParams
from npattn.models.encoder import EncoderParams
from npattn.models.transformer import DecodeParams, EncodeParams


class _Stack(Composite):
    """Ids (B, n) become embeddings times √num_hiddens, plus positions."""

    def __init__(self, parts, embedding, pos_encoding, blks):
        self.embedding, self.pos_encoding, self.blks = embedding, pos_encoding, list(blks)
        self.num_hiddens = pos_encoding.P.shape[-1]
        super().__init__(parts, pos_encoding)

    def _embed(self, ids, offset=0):
        return self.pos_encoding(self.embedding(ids) * math.sqrt(self.num_hiddens), offset)

    def _embed_backward(self, dX):
        self.embedding.backward(self.pos_encoding.backward(dX) * math.sqrt(self.num_hiddens))


class TransformerEncoder(_Stack):
    """Call it with ids X (B, n) and valid_lens; it returns (B, n, num_hiddens).

    `attention_weights` is a list with (B·h, n, n) for each block. backward returns None, since ids
    have no gradient.
    """

    def __init__(self, embedding, pos_encoding, blks):
        parts = EncodeParams(embedding, EncoderParams(tuple(blks), None))
        super().__init__(parts, embedding, pos_encoding, blks)

    def _forward(self, X, valid_lens=None, *args):
        Y = self._embed(X)
        for blk in self.blks:
            Y = blk(Y, valid_lens)
        self.attention_weights = [blk.attention_weights for blk in self.blks]
        return Y, None

    def _backward(self, dY, cache):
        for blk in reversed(self.blks):
            dY = blk.backward(dY)
        self._embed_backward(dY)


class TransformerDecoder(AttentionDecoder, _Stack):
    """Call it with ids X (B, n) and a state; it returns logits (B, n, vocab_size) and a new state.

    `init_state` makes the first state. Given the returned state, the next call continues the
    sequence: its ids get the positions that follow, and attend to all before them.
    `attention_weights` is [self, cross], each a list with (B·h, n, ...) for each block.
    backward(dlogits) returns d_enc_outputs, which is what the encoder's backward takes.
    """

    attention_weights = None

    def __init__(self, embedding, pos_encoding, blks, dense):
        self.dense = dense
        parts = DecodeParams(embedding, DecoderParams(tuple(blks), None), dense)
        super().__init__(parts, embedding, pos_encoding, blks)

    def init_state(self, enc_outputs, enc_valid_lens=None, *args):
        """The state before the first token."""
        return [enc_outputs, enc_valid_lens, [None] * len(self.blks)]

    def _forward(self, X, state):
        past = state[2][0]
        Y = self._embed(X, offset=0 if past is None else past.shape[1])
        for blk in self.blks:
            Y, state = blk(Y, state)
        self.attention_weights = [
            list(weights)
            for weights in zip(*(blk.attention_weights for blk in self.blks), strict=True)
        ]
        return (self.dense(Y), state), None

    def _backward(self, dlogits, cache):
        dY, d_enc_outputs = self.dense.backward(dlogits), 0.0
        for blk in reversed(self.blks):
            dY, d_enc_outputs_blk = blk.backward(dY)
            d_enc_outputs = d_enc_outputs + d_enc_outputs_blk
        self._embed_backward(dY)
        return d_enc_outputs
