"""What both editions share of attention: valid lengths, heads, three kinds of attention.

A mask is always the prefix mask that valid_lens describes, None, (B,) or (B, nq), over (B, nq, nk).
`attention_weights` are those of the latest call, before dropout: (B, nq, nk), with heads
(B·h, nq, nk), all heads of one sequence together.
Source: d2l 11.3, 11.5, 11.6; in the Chinese edition 10.3, 10.5, 10.6.
"""

from typing import NamedTuple

import numpy as np

from npattn import nn
from npattn.d2l._layers import Composite, Layer
from npattn.d2l._tensors import Tensor, takes_tensors
from npattn.kernels import softmax
from npattn.kernels.additive import additive_attention, additive_attention_backward
from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.heads import merge_heads, split_heads
from npattn.kernels.masks import valid_lens_mask
from npattn.kernels.positions import sinusoidal_positions
from npattn.models.multihead import multihead_attention, multihead_attention_backward


def lens_mask(valid_lens, nk):
    """The mask that valid_lens describes over nk keys, or None."""
    return None if valid_lens is None else valid_lens_mask(valid_lens, nk)


@takes_tensors
def masked_softmax(X, valid_lens=None):
    """Softmax over the last axis of X (B, nq, nk), restricted to the valid keys.

    valid_lens  None, (B,) or (B, nq)

    A length of 0 gives weights of 0, where the text gives an average over the padding; X stays
    as it is, where the text overwrites it.
    """
    return softmax.masked_softmax(X, lens_mask(valid_lens, X.shape[-1]))


def prefix_mask(X, name, lens, lens_name):
    """Which steps of X (B, T, ...) are valid, (B, T), given one length for each sequence."""
    if X.ndim < 2 or np.shape(lens) != X.shape[:1]:
        raise ValueError(
            f"{lens_name} {np.shape(lens)} must be (B,), one length for each sequence of "
            f"{name} (B, T, ...), which is {X.shape}"
        )
    return valid_lens_mask(lens, X.shape[1])[:, 0]


@takes_tensors
def sequence_mask(X, valid_len, value=0):
    """A copy of X (B, T, ...) with `value` behind each sequence's valid length.

    valid_len  (B,)

    The text writes into X.
    """
    Y = X.copy()
    Y[~prefix_mask(X, "X", valid_len, "valid_len")] = value
    return Y


@takes_tensors
def transpose_qkv(X, num_heads):
    """X (B, n, h·d) as (B·h, n, d), all heads of one sequence together."""
    heads = split_heads(X, num_heads)
    return heads.reshape(-1, *heads.shape[-2:])


@takes_tensors
def transpose_output(X, num_heads):
    """What `transpose_qkv` did, undone: (B·h, n, d) as (B, n, h·d)."""
    return merge_heads(X.reshape(-1, num_heads, *X.shape[-2:]))


class ValidLensAttention(Layer):
    """A layer that is called with (queries, keys, values, valid_lens)."""

    def _forward(self, queries, keys, values, valid_lens=None):
        mask = lens_mask(valid_lens, keys.shape[-2])
        return super()._forward(queries, keys, values, mask=mask)

    def _weights(self, cache):
        return cache.P


class DotProductAttention(ValidLensAttention):
    """Scaled dot-product attention: queries (B, nq, d), keys (B, nk, d), values (B, nk, v).

    Call it with (queries, keys, values, valid_lens=None); it returns (B, nq, v). A query without
    a valid key gets 0, where the text gives it the average of the padding.
    """

    def __init__(self, dropout, *, rng=None):
        super().__init__(attention, attention_backward, rng=rng, dropout=dropout)


class AdditiveAttention(ValidLensAttention):
    """Additive attention: queries (B, nq, q), keys (B, nk, k), values (B, nk, v), no biases.

    Call it with (queries, keys, values, valid_lens=None); it returns (B, nq, v). A query without
    a valid key gets 0, where the text gives it the average of the padding.
    """

    def __init__(self, dropout, params=None, **keywords):
        super().__init__(
            additive_attention, additive_attention_backward, params, dropout=dropout, **keywords
        )


class HeadWeights(NamedTuple):
    """What the text keeps in a multi-head attention's own `.attention`."""

    attention_weights: np.ndarray  # (B·h, nq, nk)


class MultiHeadAttention(ValidLensAttention):
    """Multi-head attention; biases are off unless bias=True.

    Call it with (queries, keys, values, valid_lens=None); it returns (B, nq, num_hiddens).
    `attention_weights` and `attention.attention_weights` are the same array, (B·h, nq, nk).
    A number of heads that does not divide num_hiddens is an error that says so.
    """

    def __init__(self, num_heads, dropout, params=None, **keywords):
        super().__init__(
            multihead_attention, multihead_attention_backward, params,
            num_heads=num_heads, dropout=dropout, **keywords,
        )

    @property
    def attention(self):
        """The weights where the text has them."""
        return HeadWeights(self.attention_weights)

    def _weights(self, cache):
        P = cache.attention.P
        return P.reshape(-1, *P.shape[-2:])


class PositionalEncoding(Composite, nn.PositionalEncoding):
    """X (B, n, num_hiddens) plus the rows of P (1, max_len, num_hiddens), then dropout.

    Sines are in the even columns of P, cosines in the odd ones; num_hiddens may be odd. Called
    with offset=, it starts at that position, which decoding step by step needs.
    """

    def __init__(self, num_hiddens, dropout, max_len=1000, *, rng=None):
        super().__init__(dropout=dropout, rng=rng)
        self.P = sinusoidal_positions(max_len, num_hiddens)[None].view(Tensor)

    def _forward(self, X, offset=0):
        _, max_len, num_hiddens = self.P.shape
        end = offset + X.shape[-2]
        if X.shape[-1] != num_hiddens or end > max_len:
            raise ValueError(
                f"X {X.shape} must be num_hiddens={num_hiddens} wide and end within "
                f"max_len={max_len} positions; it ends at position {end}"
            )
        return self.dropout(X + np.asarray(self.P)[:, offset:end].astype(X.real.dtype)), None
