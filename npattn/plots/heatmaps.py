"""Attention weights as heatmaps: one matrix, or rows × columns of them on one scale.

A query is a row (y axis) and a key a column (x axis), so each row of colours sums to 1.
With a mask (True = may attend) disallowed cells are hatched; without one an exact zero is
just a zero. A query that may attend to nothing carries ∅ at its right.
`weights` can be what people have: layers in a tuple, tensors, masked arrays, a DataFrame, with
axes of length 1 (npattn.plots.given). Every text is text: a dollar is a dollar.
Source: d2l 11.1.3 (heatmaps of weights), 11.7.6 (layers × heads).
"""

from npattn.kernels.options import require_flag
from npattn.plots import checks, given
from npattn.plots.style import house_style


def heatmap(
    weights, queries=None, keys=None, *, mask=None, ax=None, title=None, xlabel="keys",
    ylabel="queries", colorbar=True, vmin=0.0, vmax=None, cmap="Blues", annotate=None,
):  # fmt: skip
    """One matrix of attention weights, with a label for each query and each key.

    weights   (Tq, Tk)  what to draw, most often `cache.P[...]`
    queries   Tq labels for the rows; None numbers them
    keys      Tk labels for the columns; None numbers them
    mask      bool, broadcastable to weights; True means "may attend"
    ax        the Axes to draw in; None makes a figure of a fitting size
    title     text above the matrix
    xlabel    text below the keys; None means none
    ylabel    text beside the queries; None means none
    colorbar  whether to draw one; a text labels it, True means "weight", or "score" or "value"
              where the numbers are none
    vmin      value of the palest colour; None means the least weight
    vmax      value of the darkest colour; None means the greatest weight
    cmap      a matplotlib colour map; one of two hues has its middle at 0 if vmin and vmax are None
    annotate  whether to write the values into the cells; None does up to 8 × 8, if they fit

    Returns the Axes. The colour bar has a point where a weight exceeds vmin or vmax.
    Raises TypeError or ValueError, naming the argument, where dtypes, counts or shapes are wrong.
    """
    weights, mask, queries, keys, word = given.read(weights, queries, keys, mask, (2,))
    colorbar = word if colorbar is True else colorbar
    axes = head_grid(
        weights[None], queries, keys, mask=mask, column_titles=["" if title is None else title],
        axes=None if ax is None else [[ax]], xlabel=xlabel, ylabel=ylabel, colorbar=colorbar,
        vmin=vmin, vmax=vmax, cmap=cmap, annotate=annotate,
    )  # fmt: skip
    return axes[0, 0]


def head_grid(
    weights, queries=None, keys=None, *, mask=None, row_titles=None, column_titles=None,
    title=None, axes=None, xlabel="keys", ylabel="queries", colorbar=True, vmin=0.0, vmax=None,
    cmap="Blues", annotate=None,
):  # fmt: skip
    """A panel for each head (columns) and layer (rows), all on one colour scale with one bar.

    weights        (rows, columns, Tq, Tk), (columns, Tq, Tk) for one row, or (Tq, Tk) for one panel
    mask           bool, broadcastable to weights; True means "may attend"
    row_titles     a title at the left of each row; None means "layer 1", "layer 2", … of several
    column_titles  a title above each column; None means "head 1", "head 2", … of several
    title          text above it all
    axes           Axes to draw in, (rows, columns); None makes a figure of a fitting size
    The other arguments are those of `heatmap`; the labels are shared by all panels. Columns that
    would be too narrow are wrapped onto several lines of a page.

    Returns the Axes, an object array (rows, columns); the figure is `axes[0, 0].figure`.
    Raises TypeError or ValueError, naming the argument, where dtypes, counts or shapes are wrong.
    """
    weights, keep, queries, keys, word = given.read(weights, queries, keys, mask, (2, 3, 4))
    rows, columns, Tq, Tk = grid = (1, 1, *weights.shape)[-4:]
    queries = checks.labels("queries", queries, Tq, "queries")
    keys = checks.labels("keys", keys, Tk, "keys")
    if column_titles is None:
        column_titles = [f"head {h + 1}" for h in range(columns)] if weights.ndim > 2 else [""]
    if row_titles is None:
        row_titles = [f"layer {n + 1}" for n in range(rows)] if rows > 1 and axes is None else ()
    column_titles = checks.titles("column_titles", column_titles, columns, "columns")
    row_titles = checks.titles("row_titles", row_titles or [""] * rows, rows, "rows")
    axes = None if axes is None else checks.axes(axes, (rows, columns))
    if colorbar is not None and not isinstance(colorbar, str):
        require_flag("colorbar", colorbar)
    if annotate is not None:
        require_flag("annotate", annotate)
    limits = checks.limits(weights, vmin, vmax, cmap)
    with house_style():
        from npattn.plots.grids import draw_grid

        return draw_grid(
            weights.reshape(grid), None if keep is None else keep.reshape(grid), queries, keys,
            row_titles, column_titles, title, xlabel, ylabel, axes, limits, cmap, annotate,
            word if colorbar is True else colorbar,
        )  # fmt: skip
