"""Positions of odd width, and a Transformer for time series."""

from functools import partial

import numpy as np

from npattn.kernels.linear import LinearParams, linear, linear_backward
from npattn.kernels.positions import sinusoidal_positions
from npattn.models.encoder import encoder, encoder_backward
from npattn.models.multihead import MultiHeadParams, self_attention, self_attention_backward
from npattn.models.time_series import (
    TimeSeriesConfig, TimeSeriesParams, init_time_series, time_series_transformer,
    time_series_transformer_backward,
)
from npattn.verification.system import System, normal, shaken
from npattn.verification.torch_formulas import affine, multihead, norm, positions

INTRODUCTION = "an introduction to Transformers, with a time series model"
SERIES = TimeSeriesConfig(paired_positions=False)


def _build_walk_through(rng, dtype):
    """The two 5-vectors and three random 5 × 5 matrices."""
    X = np.array([[1, 0, 1, 0, 1], [0, 1, 0, 1, 0]], dtype)
    layers = [LinearParams(normal(rng, dtype, 5, 5), None) for _ in range(3)]
    return {"X": X, "params": MultiHeadParams(*layers, None), "mask": None}


def _torch_walk_through(torch, t):
    Q, K, V = (t["X"] @ t[f"params.{name}.W"] for name in ("query", "key", "value"))
    return torch.softmax(torch.matmul(Q, K.transpose(-2, -1)) / 5**0.5, dim=-1) @ V


def _add_positions(X, *, paired):
    return X + sinusoidal_positions(*X.shape[-2:], paired=paired, dtype=X.dtype), None


def _add_positions_backward(dY, _):
    return dY


def _torch_positions(torch, t, *, paired):
    X = t["X"]
    return X + positions(torch, *X.shape[-2:], X, paired)


def _build_series(rng, dtype):
    """A batch of 16 series, and ten blocks in which rounding is not blown up.

    Hidden biases of ±0.5 keep ReLU away from its kink, where the last bit decides about a
    gradient. Sublayers that whisper keep ten post-norm blocks from making all steps equal, which
    would leave the gradients of queries and keys as differences of nearly equal numbers.
    """
    def whisper(layer):
        return layer._replace(W=0.3 * layer.W)

    def block(params):
        attention, feed = params.attention, params.feed_forward
        b = rng.choice([-0.5, 0.5], SERIES.hidden).astype(dtype)
        return params._replace(
            attention=attention._replace(output=whisper(attention.output)),
            feed_forward=feed._replace(
                hidden=feed.hidden._replace(b=b), output=whisper(feed.output)
            ),
        )

    params = init_time_series(SERIES, rng, dtype=dtype)
    blocks = tuple(map(block, params.encoder.blocks))
    params = params._replace(encoder=params.encoder._replace(blocks=blocks))
    return {"X": rng.random((16, 32, 9)).astype(dtype), "params": shaken(params, rng)}


def _over_batch(X, params):
    """A mistake of many examples: the first axis, the batch, is taken for the sequence."""
    Z = X.swapaxes(0, 1)
    Z = Z + sinusoidal_positions(*Z.shape[-2:], paired=False, dtype=Z.dtype)
    E, encoded = encoder(Z, params.encoder, options=SERIES)
    Y, read = linear(E.swapaxes(0, 1).reshape(len(X), -1), params.output)
    return Y.reshape(len(X), *SERIES.output_shape), (encoded, E.shape, read)


def _over_batch_backward(dY, cache):
    encoded, (steps, B, D), read = cache
    dE, doutput = linear_backward(dY.reshape(B, -1), read)
    dZ, dencoder = encoder_backward(dE.reshape(B, steps, D).swapaxes(0, 1), encoded)
    return dZ.swapaxes(0, 1), TimeSeriesParams(None, dencoder, doutput)


def _torch_series(torch, t, *, over_batch):
    """Post-norm encoder blocks; over_batch, the first axis is taken for the sequence."""
    X = t["X"].transpose(0, 1) if over_batch else t["X"]
    X = X + positions(torch, X.shape[1], 9, X, paired=False)
    for i in range(SERIES.num_blocks):
        block = f"params.encoder.blocks[{i}]"
        A = multihead(torch, t, f"{block}.attention", X, X, X, SERIES.num_heads)
        X = norm(t, f"{block}.attention_norm", X + A)
        hidden = affine(t, f"{block}.feed_forward.hidden", X).relu()
        F = affine(t, f"{block}.feed_forward.output", hidden)
        X = norm(t, f"{block}.feed_forward_norm", X + F)
    X = X.transpose(0, 1) if over_batch else X
    return affine(t, "params.output", X.reshape(16, 288)).reshape(-1, 4, 8)


def _odd_positions(name, paired):
    return System(
        name, INTRODUCTION, lambda rng, dtype: {"X": normal(rng, dtype, 2, 32, 9)},
        partial(_add_positions, paired=paired), _add_positions_backward,
        partial(_torch_positions, paired=paired),
    )


SYSTEMS = (
    System(
        "queries, keys and values of two 5-vectors", INTRODUCTION, _build_walk_through,
        partial(self_attention, num_heads=1), self_attention_backward, _torch_walk_through,
    ),
    _odd_positions("positions of odd width, paired frequencies", True),
    _odd_positions("positions of odd width, a frequency per column", False),
    System(
        "time series Transformer", INTRODUCTION, _build_series,
        partial(time_series_transformer, config=SERIES), time_series_transformer_backward,
        partial(_torch_series, over_batch=False),
    ),
    System(
        "time series Transformer attending over the batch", INTRODUCTION, _build_series,
        _over_batch, _over_batch_backward, partial(_torch_series, over_batch=True),
    ),
)
