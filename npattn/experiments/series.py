"""Forecasting flight delays: what attention sees that a linear model does not.

    X (B, 32, 9)  32 hours of nine features                            npattn.datasets.series
    Y (B, 4, 8)   lateness at three airports and cancellations in the 8 hours that follow

The recipe: an input layer to width 24, one pre-norm block with 3 heads and a feed-forward network
of 48; dropout 0.1; Adam, 150 warm-up steps to 2e-3, then linear decay, batches of 64, 1500 steps,
float32. It was settled on parts of the training days; the days that `results` reports took no
part in that.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from npattn.datasets.series import FEATURES, HORIZON, HOURS, MEASURES, flights
from npattn.kernels.linear import LinearParams, linear
from npattn.models.time_series import (
    TimeSeriesCache, TimeSeriesConfig, init_time_series, time_series_transformer,
    time_series_transformer_backward,
)
from npattn.training import fit, linear_warmup_linear_decay, load_tree, one_blas_thread

CONFIG = TimeSeriesConfig(
    (HOURS, len(FEATURES)), (len(MEASURES), HORIZON), width=24,
    num_heads=3, hidden=48, num_blocks=1, norm="pre", dropout=0.1,
)
STEPS, PEAK, BATCH = 1500, 2e-3, 64
WEIGHTS = Path(__file__).with_name("series.npz")  # of seed 0
RIDGE = 100.0


class LossCache(NamedTuple):
    """What loss_backward reads."""

    error: np.ndarray  # (B, 4, 8) forecast minus truth
    model: TimeSeriesCache


def loss(params, X, Y, rng=None):
    """The mean squared error of the forecasts, in squared standard units.

    params  TimeSeriesParams for CONFIG
    X       (B, 32, 9)
    Y       (B, 4, 8)

    Returns the loss, a scalar, and the cache. Only params are differentiated.
    """
    forecasts, model = time_series_transformer(X, params, config=CONFIG, rng=rng)
    error = forecasts - Y
    return (error * error).mean(), LossCache(error, model)


def loss_backward(dloss, cache):
    """dparams from dloss: the mean of E² moves by 2 E / size."""
    error, model = cache
    _, dparams = time_series_transformer_backward(error * (2.0 * dloss / error.size), model)
    return dparams


def loss_and_grads(params, batch, rng=None):
    """Loss and gradient, as `fit` takes them."""
    value, cache = loss(params, *batch, rng)
    return value, loss_backward(1.0, cache), {}


def train(seed=0, *, steps=STEPS, **options):
    """The parameters and the history after training, the same for the same seed.

    options  of `fit`: checkpoint, resume, progress, …

    Returns FitResult.
    """
    rng, windows = np.random.default_rng(seed), flights().train
    params = init_time_series(CONFIG, rng, dtype=np.float32)

    def batches(rng):
        chosen = rng.integers(len(windows.X), size=BATCH)
        return windows.X[chosen], windows.Y[chosen]

    with one_blas_thread():
        return fit(
            params, loss_and_grads, batches, steps=steps, rng=rng, clip=1.0,
            schedule=partial(
                linear_warmup_linear_decay, peak=PEAK, warmup=steps // 10, total=steps
            ),
            **options,
        )


def load(path=WEIGHTS):
    """The parameters in `path`; the shipped ones unless another file is named.

    Raises FileNotFoundError, or CheckpointError that names what does not fit.
    """
    like = init_time_series(CONFIG, np.random.default_rng(0), dtype=np.float32)
    return load_tree(path, like)[0]


def forecast(params, X):
    """(B, 4, 8) from X (B, 32, 9), in standard units."""
    return time_series_transformer(X, params, config=CONFIG)[0]


def last_value(X):
    """The forecast that nothing changes: the last measures in each of the hours to come."""
    return np.repeat(X[:, -1, : len(MEASURES), None], HORIZON, axis=-1)


def least_squares(X, Y, *, ridge=0.0):
    """The linear map from flat windows to flat forecasts with the least squared error.

    X      (n, 32, 9)
    Y      (n, 4, 8)
    ridge  penalty on the sum of the squared weights, in units of the summed squared error

    Returns LinearParams, W (288, 32) and b (32,), in float64. Of several solutions (32 hands of a
    clock point in two directions only) the one with the smallest weights.
    """
    X, Y = (array.reshape(len(array), -1).astype(np.float64) for array in (X, Y))
    centre, level = X.mean(axis=0), Y.mean(axis=0)
    U, s, Vt = np.linalg.svd(X - centre, full_matrices=False)
    # W = V diag(s / (s² + ridge)) Uᵀ Y, without the directions that are rounding errors of float32
    shrunk = np.divide(s, s * s + ridge, out=np.zeros_like(s), where=s > 1e-5 * s[0])
    W = Vt.T @ (shrunk[:, None] * (U.T @ (Y - level)))
    return LinearParams(W, level - centre @ W)


def linear_forecast(params, X):
    """(B, 4, 8) from X (B, 32, 9) by `least_squares`."""
    flat, _ = linear(X.reshape(len(X), -1).astype(np.float64), params)
    return flat.reshape(len(X), *CONFIG.output_shape)


def results(params_by_seed):
    """Mean squared errors on the held-out windows, in squared standard units.

    params_by_seed  {seed: TimeSeriesParams}

    Returns {name: (8,) error of each hour}: repeating the last value, two linear models, and the
    Transformer of each seed.
    """
    train, held_out = flights().train, flights().held_out
    forecasts = {"last value repeated": last_value(held_out.X)}
    for name, ridge in (("least squares", 0.0), (f"least squares, ridge {RIDGE:g}", RIDGE)):
        params = least_squares(train.X, train.Y, ridge=ridge)
        forecasts[name] = linear_forecast(params, held_out.X)
    for seed, params in params_by_seed.items():
        forecasts[f"Transformer, seed {seed}"] = forecast(params, held_out.X)
    return {
        name: ((found - held_out.Y) ** 2).mean(axis=(0, 1)) for name, found in forecasts.items()
    }


def table(errors):
    """The `results` as text: a column for each hour ahead, the mean over all of them last."""
    names = [*(f"{hour} h" for hour in range(1, HORIZON + 1)), "mean"]
    width = max(map(len, errors))
    lines = [" " * width + "".join(f"{name:>8}" for name in names)]
    for name, error in errors.items():
        cells = "".join(f"{value:8.4f}" for value in (*error, error.mean()))
        lines.append(f"{name:<{width}}{cells}")
    return "\n".join(lines)


def compare(seeds=(0, 1, 2), **options):
    """Train once for each seed, and return the `table` of all `results`, a str.

    options  of `train`: steps, progress, …
    """
    return table(results({seed: train(seed, **options).params for seed in seeds}))


def forecast_figure(params, now="2013-06-28T14"):
    """One held-out window: what was seen, what came, and the forecasts, a panel per measure.

    params  TimeSeriesParams
    now     the last hour that is seen

    Returns a matplotlib Figure.
    Raises ValueError if no held-out window ends then.
    """
    from matplotlib.figure import Figure

    from npattn.plots import house_style

    series = flights()
    X, Y = _window(series.held_out, now)
    linear_params = least_squares(series.train.X, series.train.Y)
    ahead = np.arange(1, HORIZON + 1)
    curves = [
        ("what came", Y, "-", "black"),
        ("Transformer", forecast(params, X[None])[0], "o-", "tab:blue"),
        ("least squares", linear_forecast(linear_params, X[None])[0], "^--", "tab:orange"),
        ("last value", last_value(X[None])[0], ":", "gray"),
    ]
    with house_style():
        figure = Figure(figsize=(7.5, 4.5), layout="constrained")
        axes = figure.subplots(2, 2, sharex=True).ravel()
        for j, ax in enumerate(axes):
            mean, scale = series.mean[j], series.scale[j]
            ax.plot(np.arange(1 - HOURS, 1), X[:, j] * scale + mean, color="black")
            for label, values, style, colour in curves:
                ax.plot(ahead, values[j] * scale + mean, style, color=colour, label=label, ms=3)
            ax.set_title(MEASURES[j])
        for ax in axes[2:]:
            ax.set_xlabel(f"hours after {now.replace('T', ' ')}:00")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def _window(windows, now):
    """X (32, 9) and Y (4, 8) of the window whose last hour is `now`."""
    last = windows.first + np.timedelta64(HOURS - 1, "h")
    found = np.flatnonzero(last == np.datetime64(now, "h"))
    if not found.size:
        raise ValueError(f"now={now!r} ends no held-out window, such as 2013-06-28T14 does")
    return windows.X[found[0]], windows.Y[found[0]]
