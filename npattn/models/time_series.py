"""A Transformer for time series: a window of measurements in, a table of forecasts out.

    X  (..., T, M)       T time steps of M measurements
    Z  (..., T, D)       X Win + bin, or X itself where no width is given; plus positions
    E  (..., T, D)       the encoder: every step hears every other step
    Y  (..., *shape)     flatten(E) Wout + bout, reshaped

The sequence is the second-to-last axis, everything in front of it is the batch, and no series
hears another one. An encoder that expects (T, B, M) and is given (B, T, M) runs as well, since
every shape fits, but there step t of one series attends to step t of the other series in the
batch, and each forecast depends on its neighbours. `attend="batch"` reproduces that mistake.
Source: Vaswani et al. 2017, section 3, encoder only; the sizes are those of a common example.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.dropout import DropoutCache, dropout, dropout_backward
from npattn.kernels.linear import (
    LinearCache,
    LinearParams,
    init_linear,
    linear,
    linear_backward,
)
from npattn.kernels.options import require_choice, require_counts
from npattn.kernels.positions import sinusoidal_positions
from npattn.models.config import fix_shape, require_blocks, require_sizes
from npattn.models.encoder import (
    EncoderCache,
    EncoderParams,
    encoder,
    encoder_backward,
    init_encoder,
)
from npattn.models.residual import is_pre


@dataclass(frozen=True)
class TimeSeriesConfig:
    """The sizes and switches of a time_series_transformer: everything that is no array."""

    input_shape: tuple[int, int] = (32, 9)  # T, M
    output_shape: tuple[int, ...] = (4, 8)
    width: int | None = None                # D; None means M, without an input layer
    num_heads: int = 3
    hidden: int = 2048                      # of the feed-forward networks
    num_blocks: int = 10
    norm: str = "post"
    activation: str = "relu"
    dropout: float = 0.1
    paired_positions: bool = True           # False: as in `sinusoidal_positions`
    kernel: str = "attention"               # as in `chosen_attention`

    def __post_init__(self):
        fix_shape(self, "input_shape", "TM")
        fix_shape(self, "output_shape")
        require_counts(1, width=self.model_width)
        require_sizes(self, "num_blocks", least=0)
        require_blocks(self, self.model_width)
        is_pre(self.norm)

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
    encoder: EncoderCache
    shape: tuple[int, ...]  # of E
    output: LinearCache
    attend: str


def init_time_series(config, rng, *, dtype=np.float64):
    """Parameters for `config`, Glorot-uniform."""
    (T, M), D = config.input_shape, config.model_width
    return TimeSeriesParams(
        None if config.width is None else init_linear(M, D, rng, dtype=dtype),
        init_encoder(D, config.hidden, config.num_blocks, rng, norm=config.norm, dtype=dtype),
        init_linear(T * D, math.prod(config.output_shape), rng, dtype=dtype),
    )


def time_series_transformer(X, params, *, config, rng=None, attend="time"):
    """Forecasts from a window of measurements.

    X       (..., T, M)
    params  TimeSeriesParams
    config  TimeSeriesConfig
    rng     Generator for dropout, or None
    attend  "time"; or "batch", which is wrong and here to be shown: X must be (B, T, M) then

    Returns Y (..., *config.output_shape) and the cache.
    Raises ValueError if X does not end in config.input_shape, or for another `attend`.
    """
    _require(X, config, attend)
    Z, input_cache = X, None
    if params.input is not None:
        Z, input_cache = linear(X, params.input)
    Z = _sequence_inside(Z, attend)
    positions = sinusoidal_positions(
        *Z.shape[-2:], paired=config.paired_positions, dtype=Z.real.dtype
    )
    Z, dropped = dropout(Z + positions, config.dropout, rng)
    E, encoder_cache = encoder(
        Z, params.encoder, num_heads=config.num_heads, kernel=config.kernel, norm=config.norm,
        activation=config.activation, dropout=config.dropout, rng=rng,
    )
    E = _sequence_inside(E, attend)
    Y, output_cache = linear(E.reshape(*E.shape[:-2], E.shape[-2] * E.shape[-1]), params.output)
    return Y.reshape(*Y.shape[:-1], *config.output_shape), TimeSeriesCache(
        input_cache, dropped, encoder_cache, E.shape, output_cache, attend
    )


def time_series_transformer_backward(dY, cache):
    """dX and dparams from dY: the forward's calls, undone in reverse."""
    flat = dY.reshape(*cache.shape[:-2], cache.output.params.W.shape[1])
    dE, doutput = linear_backward(flat, cache.output)
    dE = _sequence_inside(dE.reshape(cache.shape), cache.attend)
    dZ, dencoder = encoder_backward(dE, cache.encoder)
    dX = _sequence_inside(dropout_backward(dZ, cache.dropped), cache.attend)
    dinput = None
    if cache.input is not None:
        dX, dinput = linear_backward(dX, cache.input)
    return dX, TimeSeriesParams(dinput, dencoder, doutput)


def _sequence_inside(X, attend):
    """X itself, or with batch and time exchanged: the same call undoes it."""
    return X if attend == "time" else X.swapaxes(0, 1)


def _require(X, config, attend):
    require_floats(X=X)
    if X.shape[-2:] != config.input_shape:
        raise ValueError(f"X must be (..., T, M) with T, M = {config.input_shape}, got {X.shape}")
    require_choice("attend", attend, ("time", "batch"))
    if attend == "batch" and X.ndim != 3:
        raise ValueError(f'attend="batch" needs X as (B, T, M), got {X.shape}')
