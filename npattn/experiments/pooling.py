"""Nadaraya–Watson regression: how wide should the kernel be, and how is its width found?

    f(x) = Σ_j softmax_j(−w² (x − x_j)² / 2) y_j          fifty known points (x_j, y_j)
    L(w) = (1/n) Σ_i (f₋ᵢ(x_i) − y_i)²                    f₋ᵢ without point i: leave one out

The points are those of the text's Chinese edition, y = 2 sin x + x^0.8 + ε, 0 ≤ x ≤ 5, with noise
of standard deviation ½; those of the English edition lie on a line with waves, y = 2 sin x + x + ε.
One number is learned, w, one over the width. `descend` is the text's training: the sum of the
squared errors, a learning rate of 0.5, five steps. Its first step is far too long, and where it
lands the loss is so flat that the others stay near. `best_width` gives the same gradient to
scipy.optimize.
Source: d2l 11.2 (Chinese edition 10.2); Nadaraya 1964; Watson 1964.
"""

from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from npattn.kernels.pooling import (
    KERNELS, GaussianPoolingCache, gaussian, gaussian_pooling, gaussian_pooling_backward,
    leave_one_out_mask, nadaraya_watson,
)

RATE, EPOCHS = 0.5, 5  # of the text's training
WIDTHS = 0.1, 0.2, 0.5, 1.0  # of the text's Gaussian kernels


class Points(NamedTuple):
    """Known points, and a curve to compare predictions with."""

    x: np.ndarray      # (n,) sorted
    y: np.ndarray      # (n,) with noise
    grid: np.ndarray   # (m,) where to predict
    truth: np.ndarray  # (m,) without noise


def chinese_points(seed=0):
    """Fifty points as in 10.2: x drawn from [0, 5], y = 2 sin x + x^0.8 + ½ noise."""
    rng = np.random.default_rng(seed)
    x, grid = np.sort(rng.uniform(0.0, 5.0, 50)), np.arange(0.0, 5.0, 0.1)
    return _points(x, grid, lambda x: 2.0 * np.sin(x) + x**0.8, 0.5, rng)


def english_points(seed=0):
    """Forty points as in 11.2: x drawn from [0, 5], y = 2 sin x + x + noise."""
    rng = np.random.default_rng(seed)
    x, grid = np.sort(rng.uniform(0.0, 5.0, 40)), np.arange(0.0, 5.0, 0.1)
    return _points(x, grid, lambda x: 2.0 * np.sin(x) + x, 1.0, rng)


def _points(x, grid, curve, noise, rng):
    return Points(x, curve(x) + noise * rng.standard_normal(len(x)), grid, curve(grid))


def predict(points, kernel=gaussian, width=1.0):
    """The regression on the points' grid.

    kernel  as `nadaraya_watson` takes it
    width   what distances are divided by

    Returns predictions (m,) and weights P (m, n).
    """
    Q, K, V = points.grid[:, None] / width, points.x[:, None] / width, points.y[:, None]
    O, P = nadaraya_watson(Q, K, V, kernel)
    return O[:, 0], P


# ---- the width ----


class LossCache(NamedTuple):
    """What loss_backward reads."""

    error: np.ndarray  # (n, 1) prediction minus value
    pooling: GaussianPoolingCache


def loss(w, points, *, leave_one_out=True):
    """The mean squared error of the predictions at the known points.

    w              (1,)  one over the width
    leave_one_out  whether a point is predicted from the others alone

    Returns the loss, a scalar, and the cache. Only w is differentiated.
    """
    X, Y = points.x[:, None], points.y[:, None]
    mask = leave_one_out_mask(len(X)) if leave_one_out else None
    O, pooling = gaussian_pooling(X, X, Y, w, mask)
    error = O - Y
    return (error * error).mean(), LossCache(error, pooling)


def loss_backward(dloss, cache):
    """dw from dloss: the mean of E² moves by 2 E / n."""
    error, pooling = cache
    *_, dw = gaussian_pooling_backward(error * (2.0 * dloss / len(error)), pooling)
    return dw


def slope(w, points, *, leave_one_out=True):
    """L and dL/dw at one number w, two floats."""
    value, cache = loss(np.array([w]), points, leave_one_out=leave_one_out)
    return float(value), float(loss_backward(1.0, cache)[0])


def descend(w, points, *, rate=RATE, epochs=EPOCHS):
    """The text's training: w ← w − rate · n · dL/dw, since its loss is the sum, not the mean.

    Returns w before the first step and after each, (epochs + 1,).
    """
    path = [float(w)]
    for _ in range(epochs):
        _, dw = slope(path[-1], points)
        path.append(path[-1] - rate * len(points.x) * dw)
    return np.array(path)


def best_width(points, start=1.0):
    """The w of least leave-one-out loss that L-BFGS-B finds from `start`, with our gradient.

    Returns w and the loss there, two floats. Where a kernel reaches across all the points, a
    wider one may be better than a slightly narrower one: a start near 0 may well end at 0.
    Raises ValueError if start is not positive: the loss is even in w, so its slope at 0 is 0.
    """
    from scipy.optimize import minimize

    if not start > 0.0:
        raise ValueError(f"start must be positive, got {start!r}")

    def value_and_slope(w):
        value, dw = slope(w[0], points)
        return value, np.array([dw])

    found = minimize(
        value_and_slope, [start], jac=True, method="L-BFGS-B", bounds=[(0.0, None)], tol=1e-12
    )
    return float(found.x[0]), float(found.fun)


def overshoot(seeds):
    """Where text and optimizer end on other draws of the same points.

    seeds  iterable of int; of each also the text's start is drawn, evenly from [0, 1]

    Returns |w| after `descend` and w of `best_width`, two arrays (seeds,).
    """
    starts = {seed: np.random.default_rng([seed, 1]).uniform() for seed in seeds}
    ends = [
        (abs(descend(start, chinese_points(seed))[-1]), best_width(chinese_points(seed))[0])
        for seed, start in starts.items()
    ]
    descended, best = np.array(ends).T
    return descended, best


# ---- figures ----


def kernels_figure():
    """The kernels, one panel each, over −2.5 … 2.5. Returns a matplotlib Figure."""
    u = np.arange(-250, 251) / 100.0
    with _row(len(KERNELS), (9.0, 1.8), sharey=True) as (figure, axes):
        for ax, (name, kernel) in zip(axes, KERNELS.items(), strict=True):
            ax.plot(u, kernel(u))
            ax.set(title=name, xlabel="distance", ylim=(-0.05, 1.1))
    return figure


def fits_figure(points, predictions):
    """The points, the curve they came from, and a panel for each of the predictions.

    predictions  {title: (m,)}

    Returns a matplotlib Figure.
    """
    with _row(len(predictions), (9.0, 2.4), sharey=True) as (figure, axes):
        for ax, (title, values) in zip(axes, predictions.items(), strict=True):
            ax.plot(points.x, points.y, "o", color="0.6", ms=2.5, label="known points")
            ax.plot(points.grid, points.truth, "--", color="0.3", lw=1.0, label="the curve behind")
            ax.plot(points.grid, values, label="prediction")
            ax.set(title=title, xlabel="x")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def weights_figure(points, weights, *, vmax=None):
    """A heatmap for each of the weights, all on one scale: a row for each place of prediction.

    weights  {title: (m, n)}
    vmax     the weight that is darkest; None means the greatest of all

    Returns a matplotlib Figure, which is pyplot's.
    """
    from npattn.plots import head_grid

    places, known = ([f"{x:.1f}" for x in array] for array in (points.grid, points.x))
    axes = head_grid(
        np.stack([*weights.values()]), places, known, column_titles=[*weights], vmax=vmax,
        xlabel="known x", ylabel="predicted at x",
    )
    return axes[0, 0].figure


def width_figure(points, path, best):
    """The loss over w, in sample and leaving one out, and where training went.

    path  (steps,) as `descend` returns it
    best  w as `best_width` returns it

    Returns a matplotlib Figure.
    """
    w = np.linspace(0.05, 1.1 * max(*np.abs(path), best), 300)
    with _row(2, (8.0, 2.6)) as (figure, (left, right)):
        for label, leave, style in (("leave one out", True, "-"), ("in sample", False, ":")):
            losses = [slope(one, points, leave_one_out=leave)[0] for one in w]
            left.plot(w, losses, style, label=label)
        left.plot(best, slope(best, points)[0], "*", ms=10, label="scipy.optimize")
        left.plot(abs(path[-1]), slope(path[-1], points)[0], "s", label="the text's five steps")
        left.set(xlabel="w, one over the width", ylabel="mean squared error", ylim=(0.0, None))
        left.legend()
        right.plot(
            np.arange(len(path)), np.abs(path), "s-", color="#cc79a7", label="the text's five steps"
        )
        right.axhline(best, ls="--", color="#009e73", lw=1.0, label="scipy.optimize")
        right.set(xlabel="step", ylabel="|w|", ylim=(0.0, None))
        right.legend(loc="center right")
    return figure


@contextmanager
def _row(count, size, **options):
    """A figure and its row of panels, to be drawn in the house style."""
    from matplotlib.figure import Figure

    from npattn.plots import house_style

    with house_style():
        figure = Figure(figsize=size, layout="constrained")
        yield figure, figure.subplots(1, count, **options)
