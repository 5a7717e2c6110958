"""A Transformer for time series: a window of measurements in, a table of forecasts out.

    X  (..., T, M)       T time steps of M measurements
    Z  (..., T, D)       X Win + bin, or X itself where no width is given; plus positions
    E  (..., T, D)       the encoder: every step hears every other step
    Y  (..., *shape)     flatten(E) Wout + bout, reshaped

The sequence is the second-to-last axis, everything in front of it is the batch, and no series
hears another one. An encoder that expects (T, B, M) and is given (B, T, M) runs as well, since
every shape fits, but there step t of one series attends to step t of the other series in the
batch, and each forecast depends on its neighbours.
Source: Vaswani et al. 2017, section 3, encoder only; the sizes are those of a common example.
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.dropout import DropoutCache, dropout, dropout_backward
from npattn.kernels.floats import quiet
from npattn.kernels.linear import LinearCache, LinearParams, init_linear, linear, linear_backward
from npattn.kernels.options import require_counts
from npattn.kernels.positions import sinusoidal_positions
from npattn.kernels.shapes import Shape, require_shapes
from npattn.models.config import TIME_SERIES, Options, model_config, require_sizes
from npattn.models.encoder import EncoderParams, encoder, encoder_backward, init_encoder
from npattn.models.stack import StackCache


@model_config(**TIME_SERIES)
class TimeSeriesConfig(Options):
    """The sizes of a time_series_transformer and the options of its blocks."""

    input_shape: tuple[int, int] = (32, 9)  # T, M
    output_shape: tuple[int, ...] = (4, 8)
    width: int | None = None                # D; None means M, without an input layer
    hidden: int = 2048                      # of the feed-forward networks
    num_blocks: int = 10
    paired_positions: bool = True           # False: as in `sinusoidal_positions`

    def __post_init__(self):
        super().__post_init__()
        self.fix_shape("input_shape", "TM")
        self.fix_shape("output_shape")
        require_counts(1, width=self.model_width)
        require_sizes(self, "num_blocks", least=0)
        self.require_blocks(self.model_width)

    @property
    def model_width(self):
        return self.input_shape[1] if self.width is None else self.width


class TimeSeriesParams(NamedTuple):
    """What time_series_transformer learns. The gradient has the same type."""

    input: LinearParams | None  # W (M, D)
    encoder: EncoderParams
    output: LinearParams        # W (T·D, product of output_shape)


class TimeSeriesCache(NamedTuple):
    """What time_series_transformer_backward reads."""

    input: LinearCache | None
    dropped: DropoutCache
    encoder: StackCache
    shapes: tuple           # of E and of Y
    output: LinearCache


def init_time_series(config, rng, *, dtype=np.float64):
    """Parameters for `config`, Glorot-uniform."""
    (T, M), D = config.input_shape, config.model_width
    return TimeSeriesParams(
        None if config.width is None else init_linear(M, D, rng, dtype=dtype),
        init_encoder(D, config.hidden, config.num_blocks, rng, options=config, dtype=dtype),
        init_linear(T * D, math.prod(config.output_shape), rng, dtype=dtype),
    )


@quiet
def time_series_transformer(X, params, *, config, rng=None):
    """Forecasts from a window of measurements.

    X       (..., T, M)
    params  TimeSeriesParams
    config  TimeSeriesConfig
    rng     Generator for dropout, or None

    Returns Y (..., *config.output_shape) and the cache.
    Raises ValueError if X does not end in config.input_shape.
    """
    require_floats(X=X)
    if X.shape[-2:] != config.input_shape:
        raise ValueError(f"X must be (..., T, M) with T, M = {config.input_shape}, got {X.shape}")
    Z, input_cache = X, None
    if params.input is not None:
        Z, input_cache = linear(X, params.input)
    positions = sinusoidal_positions(
        *Z.shape[-2:], paired=config.paired_positions, dtype=Z.real.dtype
    )
    Z, dropped = dropout(Z + positions, config.dropout, rng)
    E, encoder_cache = encoder(Z, params.encoder, options=config, rng=rng)
    Y, output_cache = linear(E.reshape(*E.shape[:-2], E.shape[-2] * E.shape[-1]), params.output)
    Y = Y.reshape(*Y.shape[:-1], *config.output_shape)
    return Y, TimeSeriesCache(input_cache, dropped, encoder_cache, (E.shape, Y.shape), output_cache)


@quiet
def time_series_transformer_backward(dY, cache: TimeSeriesCache):
    """dX and dparams from dY: the forward's calls, undone in reverse."""
    E, Y = cache.shapes
    require_shapes("dY =..., Y ...", dY, Shape(Y))
    flat = dY.reshape(*E[:-2], cache.output.params.W.shape[1])
    dE, doutput = linear_backward(flat, cache.output)
    dZ, dencoder = encoder_backward(dE.reshape(E), cache.encoder)
    dX, dinput = dropout_backward(dZ, cache.dropped), None
    if cache.input is not None:
        dX, dinput = linear_backward(dX, cache.input)
    return dX, TimeSeriesParams(dinput, dencoder, doutput)
