"""The text's two ways of drawing, in both editions. matplotlib is imported when they are called.

Source: d2l 11.1.3, 2.4.2; in the Chinese edition 10.1.3, 2.4.1.
"""

import numpy as np


def show_heatmaps(matrices, xlabel, ylabel, titles=None, figsize=(2.5, 2.5), cmap="Reds"):
    """A grid of heatmaps: matrices (rows, columns, queries, keys), queries from top to bottom.

    xlabel, ylabel  what keys and queries are
    titles          one for each column
    figsize         width and height in inches

    Returns the figure. One colour scale serves all panels, from 0 or the least entry to the
    greatest; the text's colour bar is that of the last panel alone.
    """
    from matplotlib import pyplot

    from npattn.plots import head_grid

    matrices = np.asarray(matrices)
    if matrices.ndim != 4:
        raise ValueError(f"matrices must be (rows, columns, queries, keys), got {matrices.shape}")
    rows, columns = matrices.shape[:2]
    figure, axes = pyplot.subplots(
        rows, columns, figsize=figsize, sharex=True, sharey=True, squeeze=False,
        layout="constrained",
    )
    head_grid(
        matrices, column_titles=titles or [""] * columns, axes=axes, cmap=cmap, annotate=False,
        vmin=min(0.0, matrices.min()), colorbar=" ",
    )
    for ax in axes.flat:
        ax.set_xlabel(xlabel if ax in axes[-1] else "")
        ax.set_ylabel(ylabel if ax in axes[:, 0] else "")
    return figure


def plot(
    X, Y=None, xlabel=None, ylabel=None, legend=(), xlim=None, ylim=None, xscale="linear",
    yscale="linear", fmts=("-", "m--", "g-.", "r:"), figsize=(3.5, 2.5), axes=None,
):
    """Curves: each row of Y over X, or over its own row of X; without Y, each row of X.

    legend, xlim, … as in matplotlib; fmts are the styles of the curves, in turn

    Returns the axes.
    """
    from matplotlib import pyplot

    if axes is None:
        _, axes = pyplot.subplots(figsize=figsize, layout="constrained")
    curves = _rows(X) if Y is None else _rows(Y)
    places = [range(len(curve)) for curve in curves] if Y is None else _rows(X)
    if len(places) == 1:
        places = places * len(curves)
    for i, (x, y) in enumerate(zip(places, curves, strict=True)):
        axes.plot(x, y, fmts[i % len(fmts)])
    axes.set(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale, xlim=xlim, ylim=ylim)
    axes.grid(True)
    if legend:
        axes.legend(legend)
    return axes


def _rows(X):
    """A list of curves, from one curve or several."""
    return [X] if np.ndim(X[0]) == 0 else list(X)
