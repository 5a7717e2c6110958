"""The small pairs as objects: one line of parameters, one of options, no maths.

`rng` is a seed or a Generator: it draws the first parameters and later the dropout; without one
both differ from run to run. `dtype` float32 or float64 is that of the parameters, and the inputs
must have it too. Shapes, masks and errors are those of the function that each docstring names.
"""

import math

import numpy as np

from npattn.kernels.activations import (
    gelu, gelu_backward, gelu_tanh, gelu_tanh_backward, relu, relu_backward,
)
from npattn.kernels.arrays import require_floats
from npattn.kernels.dropout import dropout as drop, dropout_backward as drop_backward
from npattn.kernels.embedding import embedding, embedding_backward, normal
from npattn.kernels.layer_norm import init_layer_norm, layer_norm, layer_norm_backward
from npattn.kernels.linear import init_linear, linear, linear_backward
from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.kernels.options import require_counts, require_rate
from npattn.kernels.positions import sinusoidal_positions
from npattn.models.feed_forward import feed_forward, feed_forward_backward, init_feed_forward
from npattn.nn.layer import Composite, Layer


class Linear(Layer):
    """`linear`: X (..., Din) → X W + b (..., Dout)."""

    def __init__(self, Din, Dout, *, bias=True, rng=None, dtype=np.float64):
        require_counts(1, Din=Din, Dout=Dout)
        rng = np.random.default_rng(rng)
        params = init_linear(Din, Dout, rng, bias=bias, dtype=dtype)
        super().__init__(linear, linear_backward, params)


class Embedding(Layer):
    """`embedding`: ids (...) → rows (..., D) of a table, whose entries start with variance 1/D.

    The table is all of `params`; ids have no gradient, so backward returns None.
    """

    def __init__(self, vocabulary, D, *, rng=None, dtype=np.float64):
        require_counts(1, vocabulary=vocabulary, D=D)
        rng = np.random.default_rng(rng)
        table = normal(1.0 / math.sqrt(D), (vocabulary, D), rng, dtype)
        super().__init__(embedding, embedding_backward, table, slot="E")


class LayerNorm(Layer):
    """`layer_norm`: every row of X (..., D) to mean 0 and variance 1, then gain and bias."""

    def __init__(self, D, *, eps=1e-5, dtype=np.float64):
        require_counts(1, D=D)
        params = init_layer_norm(D, dtype=dtype)
        super().__init__(layer_norm, layer_norm_backward, params, eps=eps)


class Dropout(Layer):
    """`dropout`: in training mode a random share `rate` of X becomes 0, the rest grows."""

    def __init__(self, rate, *, rng=None):
        require_rate(rate)
        super().__init__(drop, drop_backward, rng=rng, rate=rate)


class ReLU(Layer):
    """`relu`: X where it is positive, 0 elsewhere."""

    def __init__(self):
        super().__init__(relu, relu_backward)


class GELU(Layer):
    """`gelu`, or with tanh=True its approximation `gelu_tanh`."""

    def __init__(self, *, tanh=False):
        super().__init__(*((gelu_tanh, gelu_tanh_backward) if tanh else (gelu, gelu_backward)))


class FeedForward(Layer):
    """`feed_forward`: X (..., T, D) → F wide → (..., T, D), each position by itself."""

    def __init__(self, D, F, *, activation="relu", bias=True, rng=None, dtype=np.float64):
        require_counts(1, D=D, F=F)
        params = init_feed_forward(D, F, np.random.default_rng(rng), bias=bias, dtype=dtype)
        super().__init__(feed_forward, feed_forward_backward, params, activation=activation)


class PositionalEncoding(Composite):
    """X (..., T, D) plus `sinusoidal_positions`, then dropout. D may be odd, T of any length.

    Call it with offset= the number of earlier positions when X continues a sequence.
    """

    def __init__(self, *, dropout=0.0, rng=None):
        self.dropout = Dropout(dropout, rng=rng)
        super().__init__(None, self.dropout)

    def _forward(self, X, offset=0):
        require_floats(X=X)
        T, D = X.shape[-2:]
        positions = sinusoidal_positions(T, D, offset=offset, dtype=X.real.dtype)
        return self.dropout(X + positions), None

    def _backward(self, dY, cache):
        return self.dropout.backward(dY)


class CrossEntropyLoss(Layer):
    """`cross_entropy`: logits (..., C) and targets (...) → the mean loss, a scalar.

    backward() returns dlogits; a factor on the loss may be given.
    """

    def __init__(self, *, ignore=None, label_smoothing=0.0):
        super().__init__(
            cross_entropy, cross_entropy_backward, ignore=ignore, label_smoothing=label_smoothing
        )

    def backward(self, dloss=1.0):
        """dlogits, the gradient of dloss · loss, for the latest call that waits."""
        return super().backward(dloss)
