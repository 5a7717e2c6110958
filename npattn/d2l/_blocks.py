"""What both editions share of the Transformer's blocks: post-norm, built from the text's parts.

The parts are called in the order of the text and undone in reverse. The parameters have the types
of npattn.models, so that `encoder_block(X, block.params, mask, ...)` computes the same.
Source: d2l 11.7; in the Chinese edition 10.7.
"""

import math

import numpy as np

from npattn.d2l._layers import Composite, Layer
from npattn.kernels.layer_norm import init_layer_norm
from npattn.kernels.linear import init_linear
from npattn.models.block import DecoderBlockParams, EncoderBlockParams
from npattn.models.feed_forward import FeedForwardParams, feed_forward, feed_forward_backward
from npattn.models.residual import add_norm, add_norm_backward


def init_ffn(ffn_num_input, ffn_num_hiddens, ffn_num_outputs, rng, dtype):
    """Two linear layers with biases."""
    return FeedForwardParams(
        init_linear(ffn_num_input, ffn_num_hiddens, rng, dtype=dtype),
        init_linear(ffn_num_hiddens, ffn_num_outputs, rng, dtype=dtype),
    )


class PositionWiseFFN(Layer):
    """Two linear layers with a ReLU between, the same at every position.

    Call it with X (B, n, ffn_num_input); it returns (B, n, ffn_num_outputs).
    """

    def __init__(self, params=None, **keywords):
        super().__init__(feed_forward, feed_forward_backward, params, **keywords)


class AddNorm(Layer):
    """Layer norm of X + dropout(Y). Call it with (X, Y), both of one shape.

    The shape is that of the last axes, which are normalized together: an int for the last axis,
    as the Transformer needs it, or a list. Gain and bias are kept flat.
    """

    def __init__(self, shape, dropout, *, rng=None, dtype=np.float64):
        self._shape = (shape,) if isinstance(shape, int) else tuple(shape)
        super().__init__(
            add_norm, add_norm_backward,
            init_layer_norm(math.prod(self._shape), dtype=dtype),
            rng=rng, dropout=dropout,
        )

    def _forward(self, X, Y):
        if X.shape[-len(self._shape) :] != self._shape:
            raise ValueError(f"X {X.shape} must end in the shape to normalize, {self._shape}")
        Z, cache = super()._forward(self._flat(X), self._flat(Y))
        return Z.reshape(X.shape), cache

    def _backward(self, dZ, cache):
        dX, dY = super()._backward(self._flat(dZ), cache)
        return dX.reshape(dZ.shape), dY.reshape(dZ.shape)

    def _flat(self, X):
        """The last axes in one, as `add_norm` normalizes them."""
        return X.reshape(*X.shape[: -len(self._shape)], -1)


class EncoderBlock(Composite):
    """Self-attention and feed-forward network. Call it with (X, valid_lens).

    Returns the shape of X, (B, n, num_hiddens). `attention_weights` is (B·h, n, n).
    """

    def __init__(self, attention, addnorm1, ffn, addnorm2):
        self.attention, self.addnorm1, self.ffn, self.addnorm2 = attention, addnorm1, ffn, addnorm2
        super().__init__(EncoderBlockParams(attention, addnorm1, ffn, addnorm2))

    def _forward(self, X, valid_lens=None):
        H = self.addnorm1(X, self.attention(X, X, X, valid_lens))
        Y = self.addnorm2(H, self.ffn(H))
        self.attention_weights = self.attention.attention_weights
        return Y, None

    def _backward(self, dY, cache):
        dH, dF = self.addnorm2.backward(dY)
        dX, dA = self.addnorm1.backward(dH + self.ffn.backward(dF))
        dXq, dXk, dXv = self.attention.backward(dA)
        return dX + (dXq + dXk + dXv)


class DecoderBlock(Composite):
    """Causal self-attention, attention to the encoder, feed-forward network: the i-th block.

    Call it with (X, state), state = [enc_outputs, enc_valid_lens, past]; past[i] is what this block
    has read in earlier calls, (B, steps, num_hiddens), or None. Returns Y, shaped like X, and the
    new state. Position t of X attends to the past and to the positions 0 … t of X, in training
    and in evaluation mode. backward(dY) returns dX and d_enc_outputs.
    `attention_weights` is [self, cross], each (B·h, n, ...).
    """

    def __init__(self, attention1, addnorm1, attention2, addnorm2, ffn, addnorm3, i):
        self.attention1, self.addnorm1 = attention1, addnorm1
        self.attention2, self.addnorm2 = attention2, addnorm2
        self.ffn, self.addnorm3, self.i = ffn, addnorm3, i
        super().__init__(
            DecoderBlockParams(attention1, addnorm1, attention2, addnorm2, ffn, addnorm3)
        )

    def _forward(self, X, state):
        enc_outputs, enc_valid_lens, past = state
        old = past[self.i]
        read = X if old is None else np.concatenate((old, X), axis=1)
        steps = read.shape[1] - X.shape[1]
        causal_lens = np.tile(np.arange(steps, read.shape[1]) + 1, (len(X), 1))
        G = self.addnorm1(X, self.attention1(X, read, read, causal_lens))
        H = self.addnorm2(G, self.attention2(G, enc_outputs, enc_outputs, enc_valid_lens))
        Y = self.addnorm3(H, self.ffn(H))
        self.attention_weights = [
            self.attention1.attention_weights, self.attention2.attention_weights
        ]
        past = [*past[: self.i], read, *past[self.i + 1 :]]
        return (Y, [enc_outputs, enc_valid_lens, past]), steps

    def _backward(self, dY, steps):
        if steps:
            raise RuntimeError(
                f"this call continued {steps} earlier positions, whose gradients would be lost; "
                "for a backward pass the whole sequence in one call"
            )
        dH, dF = self.addnorm3.backward(dY)
        dG, dC = self.addnorm2.backward(dH + self.ffn.backward(dF))
        dGq, dMk, dMv = self.attention2.backward(dC)
        dX, dA = self.addnorm1.backward(dG + dGq)
        dXq, dXk, dXv = self.attention1.backward(dA)
        return dX + (dXq + dXk + dXv), dMk + dMv

    def _output(self, Y):
        return Y[0]
