"""Dive into Deep Learning, Chinese edition, chapter 10: its names and signatures.

Every size is given. What every object can do, and where it differs from the text on purpose,
stands in npattn.d2l.

    10.1, 10.6  show_heatmaps, plot, plt
    10.2        NWKernelRegression, plot_kernel_reg
    10.3        masked_softmax, sequence_mask, AdditiveAttention, DotProductAttention
    10.4        Seq2SeqEncoder (of 9.7), AttentionDecoder, Seq2SeqAttentionDecoder
    10.5        MultiHeadAttention, transpose_qkv, transpose_output
    10.6        PositionalEncoding
    10.7        PositionWiseFFN, AddNorm, EncoderBlock, TransformerEncoder, DecoderBlock,
                TransformerDecoder

norm_shape is what layer norm normalizes together. [num_hiddens] is what the Transformer means;
the text's small examples give it the sequence as well, which works here too.
"""

import numpy as np

from npattn.d2l import _attention, _blocks, _names, _stacks
from npattn.d2l._attention import (
    DotProductAttention, PositionalEncoding, masked_softmax, sequence_mask, transpose_output,
    transpose_qkv,
)
from npattn.d2l._figures import plot, plot_kernel_reg, show_heatmaps, use_svg_display
from npattn.d2l._pooling import NWKernelRegression
from npattn.d2l._seq2seq import AttentionDecoder, Seq2SeqAttentionDecoder, Seq2SeqEncoder
from npattn.d2l._training import (
    EncoderDecoder, Vocab, bleu, load_data_nmt, predict_seq2seq, train_seq2seq,
)
from npattn.d2l.nn import Embedding, Linear
from npattn.kernels.additive import init_additive
from npattn.models.multihead import init_multihead

__all__ = [
    "AddNorm", "AdditiveAttention", "AttentionDecoder", "DecoderBlock", "DotProductAttention",
    "EncoderBlock", "EncoderDecoder", "MultiHeadAttention", "NWKernelRegression",
    "PositionWiseFFN", "PositionalEncoding", "Seq2SeqAttentionDecoder", "Seq2SeqEncoder",
    "TransformerDecoder", "TransformerEncoder", "Vocab", "bleu", "load_data_nmt", "masked_softmax",
    "plot", "plot_kernel_reg", "predict_seq2seq", "sequence_mask", "show_heatmaps",
    "train_seq2seq", "transpose_output", "transpose_qkv", "use_svg_display",
]

__getattr__ = _names.names_on_demand


class AdditiveAttention(_attention.AdditiveAttention):
    __doc__ = _attention.AdditiveAttention.__doc__

    def __init__(
        self, key_size, query_size, num_hiddens, dropout, *, rng=None, dtype=np.float64
    ):
        rng = np.random.default_rng(rng)
        params = init_additive(query_size, key_size, num_hiddens, rng, dtype=dtype)
        super().__init__(dropout, params, rng=rng)


class MultiHeadAttention(_attention.MultiHeadAttention):
    __doc__ = _attention.MultiHeadAttention.__doc__

    def __init__(
        self, key_size, query_size, value_size, num_hiddens, num_heads, dropout, bias=False, *,
        rng=None, dtype=np.float64,
    ):
        rng = np.random.default_rng(rng)
        params = init_multihead(
            num_hiddens, rng, Dq=query_size, Dk=key_size, Dv=value_size, bias=bias, dtype=dtype
        )
        self.num_heads = num_heads
        super().__init__(num_heads, dropout, params, rng=rng)


class PositionWiseFFN(_blocks.PositionWiseFFN):
    __doc__ = _blocks.PositionWiseFFN.__doc__

    def __init__(
        self, ffn_num_input, ffn_num_hiddens, ffn_num_outputs, *, rng=None, dtype=np.float64
    ):
        rng = np.random.default_rng(rng)
        super().__init__(
            _blocks.init_ffn(ffn_num_input, ffn_num_hiddens, ffn_num_outputs, rng, dtype)
        )


class AddNorm(_blocks.AddNorm):
    __doc__ = _blocks.AddNorm.__doc__

    def __init__(self, normalized_shape, dropout, *, rng=None, dtype=np.float64):
        super().__init__(normalized_shape, dropout, rng=rng, dtype=dtype)


class EncoderBlock(_blocks.EncoderBlock):
    __doc__ = _blocks.EncoderBlock.__doc__

    def __init__(
        self, key_size, query_size, value_size, num_hiddens, norm_shape, ffn_num_input,
        ffn_num_hiddens, num_heads, dropout, use_bias=False, *, rng=None, dtype=np.float64,
    ):
        draw = dict(rng=np.random.default_rng(rng), dtype=dtype)
        sizes = (key_size, query_size, value_size, num_hiddens, num_heads, dropout)
        super().__init__(
            MultiHeadAttention(*sizes, use_bias, **draw),
            AddNorm(norm_shape, dropout, **draw),
            PositionWiseFFN(ffn_num_input, ffn_num_hiddens, num_hiddens, **draw),
            AddNorm(norm_shape, dropout, **draw),
        )


class TransformerEncoder(_stacks.TransformerEncoder):
    __doc__ = _stacks.TransformerEncoder.__doc__

    def __init__(
        self, vocab_size, key_size, query_size, value_size, num_hiddens, norm_shape,
        ffn_num_input, ffn_num_hiddens, num_heads, num_layers, dropout, use_bias=False, *,
        rng=None, dtype=np.float64,
    ):
        draw = dict(rng=np.random.default_rng(rng), dtype=dtype)
        block = (
            key_size, query_size, value_size, num_hiddens, norm_shape, ffn_num_input,
            ffn_num_hiddens, num_heads, dropout, use_bias,
        )
        super().__init__(
            Embedding(vocab_size, num_hiddens, **draw),
            PositionalEncoding(num_hiddens, dropout, rng=draw["rng"]),
            [EncoderBlock(*block, **draw) for _ in range(num_layers)],
        )


class DecoderBlock(_blocks.DecoderBlock):
    __doc__ = _blocks.DecoderBlock.__doc__

    def __init__(
        self, key_size, query_size, value_size, num_hiddens, norm_shape, ffn_num_input,
        ffn_num_hiddens, num_heads, dropout, i, *, rng=None, dtype=np.float64,
    ):
        draw = dict(rng=np.random.default_rng(rng), dtype=dtype)
        sizes = (key_size, query_size, value_size, num_hiddens, num_heads, dropout)
        super().__init__(
            MultiHeadAttention(*sizes, **draw),
            AddNorm(norm_shape, dropout, **draw),
            MultiHeadAttention(*sizes, **draw),
            AddNorm(norm_shape, dropout, **draw),
            PositionWiseFFN(ffn_num_input, ffn_num_hiddens, num_hiddens, **draw),
            AddNorm(norm_shape, dropout, **draw),
            i,
        )


class TransformerDecoder(_stacks.TransformerDecoder):
    __doc__ = _stacks.TransformerDecoder.__doc__

    def __init__(
        self, vocab_size, key_size, query_size, value_size, num_hiddens, norm_shape,
        ffn_num_input, ffn_num_hiddens, num_heads, num_layers, dropout, *,
        rng=None, dtype=np.float64,
    ):
        draw = dict(rng=np.random.default_rng(rng), dtype=dtype)
        block = (
            key_size, query_size, value_size, num_hiddens, norm_shape, ffn_num_input,
            ffn_num_hiddens, num_heads, dropout,
        )
        super().__init__(
            Embedding(vocab_size, num_hiddens, **draw),
            PositionalEncoding(num_hiddens, dropout, rng=draw["rng"]),
            [DecoderBlock(*block, i, **draw) for i in range(num_layers)],
            Linear(num_hiddens, vocab_size, **draw),
        )
