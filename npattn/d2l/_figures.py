"""The text's ways of drawing. matplotlib is imported when they are called.

Source: d2l 11.1.3, 2.4.2; in the Chinese edition 10.1.3, 2.4.1, 10.2.
"""

import sys

import numpy as np

from npattn.d2l._tensors import plain


def show_heatmaps(matrices, xlabel, ylabel, titles=None, figsize=(2.5, 2.5), cmap="Reds"):
    """A grid of heatmaps: matrices (rows, columns, queries, keys), queries from top to bottom.

    xlabel, ylabel  what keys and queries are
    titles          one for each column
    figsize         width and height in inches

    Returns nothing, as in the text, so that a notebook draws once; `d2l.plt.gcf()` is the figure.
    One colour scale serves all panels, from 0 or the least entry to the
    greatest; the text's colour bar is that of the last panel alone.
    """
    from matplotlib import pyplot

    from npattn.plots import head_grid

    matrices = np.asarray(matrices)
    if matrices.ndim != 4:
        raise ValueError(f"matrices must be (rows, columns, queries, keys), got {matrices.shape}")
    rows, columns = matrices.shape[:2]
    _, axes = pyplot.subplots(
        rows, columns, figsize=figsize, sharex=True, sharey=True, squeeze=False,
        layout="compressed",
    )
    head_grid(
        matrices, column_titles=titles or [""] * columns, axes=axes, cmap=cmap, annotate=False,
        vmin=min(0.0, matrices.min()), colorbar=" ", xlabel=xlabel, ylabel=ylabel,
    )


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
    X, Y = plain(X), plain(Y)
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


def plot_kernel_reg(y_hat, *, x_test=None, y_truth=None, x_train=None, y_train=None):
    """A regression (nq,) beside the curve behind it, and the points (nk,) that it was made from.

    What is not given is read where the call stands, as the text's reads it from the notebook.
    Returns the axes. Raises NameError for a name that is neither given nor there.
    """
    given = dict(x_test=x_test, y_truth=y_truth, x_train=x_train, y_train=y_train)
    there = sys._getframe(1).f_globals
    missing = [name for name, X in given.items() if X is None and name not in there]
    if missing:
        raise NameError(f"plot_kernel_reg needs {', '.join(missing)}: give {missing[0]}=…")
    x_test, y_truth, x_train, y_train = (
        there[name] if X is None else X for name, X in given.items()
    )
    axes = plot(
        x_test, [y_truth, np.ravel(y_hat)], "x", "y", legend=["Truth", "Pred"],
        xlim=[0, 5], ylim=[-1, 5],
    )
    axes.plot(x_train, y_train, "o", alpha=0.5)
    return axes


def use_svg_display():
    """Sharp figures in a notebook; elsewhere nothing."""
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg")


def _rows(X):
    """A list of curves, from one curve or several."""
    return [X] if np.ndim(X[0]) == 0 else list(X)
