"""Dive into Deep Learning, English edition, chapter 11: its names and signatures.

Sizes of inputs are not given but inferred, at the first call; until then `params` are None.
What every object can do, and where it differs from the text on purpose, stands in npattn.d2l.

    11.1, 11.6  show_heatmaps, plot, plt
    11.2        gaussian, boxcar, constant, epanechikov, gaussian_with_width, nadaraya_watson
    11.3        masked_softmax, sequence_mask, DotProductAttention, AdditiveAttention
    11.4        Seq2SeqEncoder (of 10.7), AttentionDecoder, Seq2SeqAttentionDecoder
    11.5        MultiHeadAttention, with the methods transpose_qkv and transpose_output
    11.6        PositionalEncoding
    11.7        PositionWiseFFN, AddNorm, TransformerEncoderBlock, TransformerEncoder,
                TransformerDecoderBlock, TransformerDecoder
    11.8        PatchEmbedding, ViTMLP, ViTBlock, ViT
"""

import numpy as np

from npattn.d2l import _attention, _blocks, _names, _stacks, _vision
from npattn.d2l._attention import (
    DotProductAttention, PositionalEncoding, masked_softmax, sequence_mask,
)
from npattn.d2l._figures import plot, show_heatmaps, use_svg_display
from npattn.d2l._pooling import epanechikov, gaussian_with_width, nadaraya_watson
from npattn.d2l._seq2seq import AttentionDecoder, Seq2SeqAttentionDecoder, Seq2SeqEncoder
from npattn.d2l._tensors import takes_tensors
from npattn.d2l._training import (
    EncoderDecoder, MTFraEng, Seq2Seq, Trainer, Vocab, bleu,
)
from npattn.d2l._vision import PatchEmbedding, ViTMLP
from npattn.d2l.nn import Dropout, Embedding, LayerNorm, Linear
from npattn.kernels.additive import init_additive
from npattn.kernels import pooling
from npattn.models.multihead import init_multihead

__all__ = [
    "AddNorm", "AdditiveAttention", "AttentionDecoder", "DotProductAttention", "EncoderDecoder",
    "MTFraEng", "MultiHeadAttention", "PatchEmbedding", "PositionWiseFFN", "PositionalEncoding",
    "Seq2Seq", "Seq2SeqAttentionDecoder", "Seq2SeqEncoder", "Trainer", "TransformerDecoder",
    "TransformerDecoderBlock", "TransformerEncoder", "TransformerEncoderBlock", "ViT", "ViTBlock",
    "ViTMLP", "Vocab", "bleu", "boxcar", "check_shape", "constant", "epanechikov", "gaussian",
    "gaussian_with_width", "masked_softmax", "nadaraya_watson", "plot", "sequence_mask",
    "show_heatmaps", "use_svg_display",
]

boxcar, constant, gaussian = map(
    takes_tensors, (pooling.boxcar, pooling.constant, pooling.gaussian)
)
__getattr__ = _names.names_on_demand


def check_shape(a, shape):
    """Raises AssertionError unless the array a has this shape."""
    if a.shape != tuple(shape):
        raise AssertionError(f"the shape is {a.shape}, expected {tuple(shape)}")


class AdditiveAttention(_attention.AdditiveAttention):
    __doc__ = _attention.AdditiveAttention.__doc__

    def __init__(self, num_hiddens, dropout, *, rng=None, dtype=np.float64):
        rng = np.random.default_rng(rng)

        def infer(queries, keys, *rest):
            return init_additive(
                queries.shape[-1], keys.shape[-1], num_hiddens, rng, dtype=dtype
            )

        super().__init__(dropout, infer=infer, rng=rng)


class MultiHeadAttention(_attention.MultiHeadAttention):
    __doc__ = _attention.MultiHeadAttention.__doc__

    def __init__(
        self, num_hiddens, num_heads, dropout, bias=False, *, rng=None, dtype=np.float64
    ):
        rng = np.random.default_rng(rng)

        def infer(queries, keys, values, *rest):
            Dq, Dk, Dv = (X.shape[-1] for X in (queries, keys, values))
            return init_multihead(
                num_hiddens, rng, Dq=Dq, Dk=Dk, Dv=Dv, bias=bias, dtype=dtype
            )

        self.num_heads = num_heads
        super().__init__(num_heads, dropout, infer=infer, rng=rng)

    def transpose_qkv(self, X):
        """X (B, n, h·d) as (B·h, n, d), all heads of one sequence together."""
        return _attention.transpose_qkv(X, self.num_heads)

    def transpose_output(self, X):
        """What `transpose_qkv` did, undone: (B·h, n, d) as (B, n, h·d)."""
        return _attention.transpose_output(X, self.num_heads)


class PositionWiseFFN(_blocks.PositionWiseFFN):
    __doc__ = _blocks.PositionWiseFFN.__doc__

    def __init__(self, ffn_num_hiddens, ffn_num_outputs, *, rng=None, dtype=np.float64):
        rng = np.random.default_rng(rng)

        def infer(X):
            return _blocks.init_ffn(X.shape[-1], ffn_num_hiddens, ffn_num_outputs, rng, dtype)

        super().__init__(infer=infer)


class AddNorm(_blocks.AddNorm):
    __doc__ = _blocks.AddNorm.__doc__

    def __init__(self, norm_shape, dropout, *, rng=None, dtype=np.float64):
        super().__init__(norm_shape, dropout, rng=rng, dtype=dtype)


class TransformerEncoderBlock(_blocks.EncoderBlock):
    __doc__ = _blocks.EncoderBlock.__doc__

    def __init__(
        self, num_hiddens, ffn_num_hiddens, num_heads, dropout, use_bias=False, *,
        rng=None, dtype=np.float64,
    ):
        draw = dict(rng=np.random.default_rng(rng), dtype=dtype)
        super().__init__(
            MultiHeadAttention(num_hiddens, num_heads, dropout, use_bias, **draw),
            AddNorm(num_hiddens, dropout, **draw),
            PositionWiseFFN(ffn_num_hiddens, num_hiddens, **draw),
            AddNorm(num_hiddens, dropout, **draw),
        )


class TransformerEncoder(_stacks.TransformerEncoder):
    __doc__ = _stacks.TransformerEncoder.__doc__

    def __init__(
        self, vocab_size, num_hiddens, ffn_num_hiddens, num_heads, num_blks, dropout,
        use_bias=False, *, rng=None, dtype=np.float64,
    ):
        draw = dict(rng=np.random.default_rng(rng), dtype=dtype)
        block = (num_hiddens, ffn_num_hiddens, num_heads, dropout, use_bias)
        super().__init__(
            Embedding(vocab_size, num_hiddens, **draw),
            PositionalEncoding(num_hiddens, dropout, rng=draw["rng"]),
            [TransformerEncoderBlock(*block, **draw) for _ in range(num_blks)],
        )


class TransformerDecoderBlock(_blocks.DecoderBlock):
    __doc__ = _blocks.DecoderBlock.__doc__

    def __init__(
        self, num_hiddens, ffn_num_hiddens, num_heads, dropout, i, *, rng=None, dtype=np.float64
    ):
        draw = dict(rng=np.random.default_rng(rng), dtype=dtype)
        super().__init__(
            MultiHeadAttention(num_hiddens, num_heads, dropout, **draw),
            AddNorm(num_hiddens, dropout, **draw),
            MultiHeadAttention(num_hiddens, num_heads, dropout, **draw),
            AddNorm(num_hiddens, dropout, **draw),
            PositionWiseFFN(ffn_num_hiddens, num_hiddens, **draw),
            AddNorm(num_hiddens, dropout, **draw),
            i,
        )


class TransformerDecoder(_stacks.TransformerDecoder):
    __doc__ = _stacks.TransformerDecoder.__doc__

    def __init__(
        self, vocab_size, num_hiddens, ffn_num_hiddens, num_heads, num_blks, dropout, *,
        rng=None, dtype=np.float64,
    ):
        draw = dict(rng=np.random.default_rng(rng), dtype=dtype)
        block = (num_hiddens, ffn_num_hiddens, num_heads, dropout)
        super().__init__(
            Embedding(vocab_size, num_hiddens, **draw),
            PositionalEncoding(num_hiddens, dropout, rng=draw["rng"]),
            [TransformerDecoderBlock(*block, i, **draw) for i in range(num_blks)],
            Linear(num_hiddens, vocab_size, **draw),
        )


class ViTBlock(_vision.ViTBlock):
    __doc__ = _vision.ViTBlock.__doc__

    def __init__(
        self, num_hiddens, norm_shape, mlp_num_hiddens, num_heads, dropout, use_bias=False, *,
        rng=None, dtype=np.float64,
    ):
        draw = dict(rng=np.random.default_rng(rng), dtype=dtype)
        super().__init__(
            LayerNorm(norm_shape, dtype=dtype),
            MultiHeadAttention(num_hiddens, num_heads, dropout, use_bias, **draw),
            LayerNorm(norm_shape, dtype=dtype),
            ViTMLP(mlp_num_hiddens, num_hiddens, dropout, **draw),
        )


class ViT(_vision.ViT):
    __doc__ = _vision.ViT.__doc__

    def __init__(
        self, img_size, patch_size, num_hiddens, mlp_num_hiddens, num_heads, num_blks,
        emb_dropout, blk_dropout, lr=0.1, use_bias=False, num_classes=10, *,
        rng=None, dtype=np.float64,
    ):
        draw = dict(rng=np.random.default_rng(rng), dtype=dtype)
        block = (num_hiddens, num_hiddens, mlp_num_hiddens, num_heads, blk_dropout, use_bias)
        patch_embedding = PatchEmbedding(img_size, patch_size, num_hiddens, **draw)
        super().__init__(
            patch_embedding,
            _vision.ClassToken(num_hiddens, **draw),
            _vision.LearnedPositions(1 + patch_embedding.num_patches, num_hiddens, **draw),
            Dropout(emb_dropout, rng=draw["rng"]),
            [ViTBlock(*block, **draw) for _ in range(num_blks)],
            (LayerNorm(num_hiddens, dtype=dtype), Linear(num_hiddens, num_classes, **draw)),
            lr,
        )
