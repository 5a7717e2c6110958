"""The drawing behind `heatmap` and `head_grid`: sizes, panels, shared labels, one bar."""

import math

import numpy as np
from matplotlib import rcParams
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from npattn.plots import fonts, pages, panels

PAGE = 9.0  # inches that all panels together may span
PANEL = 0.9, 4.2  # inches that one panel spans at least; at most, while cells can shrink
CELL = 0.15, 0.5  # inches that a cell spans before labels thin out; at most
STRIP = 0.25  # inches that a single row or column spans at least
LINE = 0.2  # inches of a title between wrapped lines
TALLEST_BAR = 9.0  # inches
GAP = 0.2  # inches between panels
READABLE = 0.08, 2.0  # inches of a cell and of a panel, below which columns are wrapped
COLUMNS = 4, 12  # that are never wrapped: of a single row, of several rows


def draw_grid(
    weights, mask, queries, keys, row_titles, column_titles, title, xlabel, ylabel, axes, limits,
    cmap, annotate, bar_label,
):  # fmt: skip
    """Draw weights (rows, columns, Tq, Tk) in the current style; returns the axes."""
    around = ["" if text is None else str(text) for text in (title, xlabel, ylabel)]
    queries, keys, row_titles, column_titles, (title, xlabel, ylabel) = map(
        fonts.drawable, (queries, keys, row_titles, column_titles, around)
    )
    bar_label = bar_label and fonts.drawable([bar_label])[0]
    side_labels = [f"{row_title}\n{ylabel}".strip() for row_title in row_titles]
    norm, own_page, per_line = Normalize(*limits), axes is None, weights.shape[1]
    if own_page:
        per_line = _columns_on_a_line(weights.shape)
        axes = _new_axes(weights.shape, side_labels, column_titles, per_line)
    if bar_label:
        beyond = weights.min() < norm.vmin, weights.max() > norm.vmax
        _draw_bar(axes, own_page, ScalarMappable(norm, cmap), bar_label, beyond)
    for at, ax in np.ndenumerate(axes):
        if not own_page:
            ax.set_aspect("equal")
        keep = None if mask is None else mask[at]
        panels.draw_cells(
            ax, weights[at], norm, cmap, mask=keep, annotate=annotate,
            as_image=weights.size > panels.LARGEST_VECTOR,
        )
        panels.label_tokens(ax, queries, keys)
        below = at[0] == len(axes) - 1 and at[1] + per_line >= axes.shape[1]
        ax.tick_params(labelleft=at[1] % per_line == 0, labelbottom=below)
    _write_titles(axes, column_titles, side_labels, xlabel, per_line)
    if own_page:
        pages.fit_page(axes[0, 0].figure, title)
    elif title:
        axes[0, 0].figure.suptitle(title)
    return axes


def _columns_on_a_line(shape):
    """How many of the columns stand side by side; the others follow on further lines."""
    rows, columns, _, Tk = shape
    width = GAP + max(PANEL[0], min(READABLE[0] * Tk, READABLE[1]))
    most = max(COLUMNS[rows > 1], int(PAGE / width))
    return math.ceil(columns / math.ceil(columns / most))


def _new_axes(shape, side_labels, column_titles, per_line):
    """Axes on a new page, with a pitch at which no title runs into the next."""
    rows, columns, Tq, Tk = shape
    longest, lines = max(Tq, Tk), math.ceil(columns / per_line)
    height = PAGE / (rows * Tq) if lines == 1 else math.inf
    cell = min(max(CELL[0], PANEL[1] / longest), CELL[1], PAGE / (per_line * Tk), height)
    cell = max(cell, PANEL[0] / longest)
    size = max(STRIP, cell * Tk), max(STRIP, cell * Tq)
    pitch = (
        GAP + max(size[0], fonts.text_width(column_titles, rcParams["axes.titlesize"])),
        GAP + max(size[1], fonts.text_width(side_labels, rcParams["axes.labelsize"])),
    )
    if lines > 1:  # each panel has its title above it
        pitch = pitch[0], pitch[1] + LINE
    grid = pages.place_grid(pages.new_page(), rows * lines, per_line, size, pitch)
    grid = grid.reshape(rows, lines * per_line)
    for ax in grid[:, columns:].flat:
        ax.remove()
    return grid[:, :columns]


def _draw_bar(axes, own_page, mappable, label, beyond):
    """One colour bar for all axes, pointed where weights lie beyond its (lower, upper) end."""
    figure = axes[0, 0].figure
    if own_page:
        low, high = axes[-1, -1].get_position(), axes[0, 0].get_position()
        middle, height = (low.y0 + high.y1) / 2, high.y1 - low.y0
        right = max(ax.get_position().x1 for ax in axes[0])
        place = {"cax": pages.place_bar(figure, right + GAP, middle, min(height, TALLEST_BAR))}
    else:
        place = {"ax": axes.ravel().tolist()}
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[beyond]
    figure.colorbar(mappable, label=label, extend=extend, **place)


def _write_titles(axes, above, beside, below, per_line):
    """Titles over the first row, labels at the left of each line and below the last panels.

    Where columns are wrapped, every panel has the title of its column.
    """
    height = axes[0, 0].bbox.height / axes[0, 0].figure.dpi
    rise = max(0.0, fonts.text_width(beside, rcParams["axes.labelsize"]) - height) / 2
    titled = axes if per_line < axes.shape[1] else axes[:1]
    for row in titled:
        for ax, text in zip(row, above, strict=True):
            if text:
                ax.set_title(text, pad=rcParams["axes.titlepad"] + 72 * rise)  # clear of the labels
    for row, text in zip(axes, beside, strict=True):
        for ax in row[::per_line]:
            ax.set_ylabel(text)
    for ax in axes[-1, -per_line:]:
        ax.set_xlabel(below)
