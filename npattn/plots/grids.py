"""The drawing behind `heatmap` and `head_grid`: sizes, panels, shared labels, one bar."""

import numpy as np
from matplotlib import rcParams
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from npattn.plots import fonts, pages, panels

PAGE = 9.0  # inches that all panels together may span
PANEL = 0.9, 4.2  # inches that one panel spans at least; at most, while cells can shrink
CELL = 0.15, 0.5  # inches that a cell spans before labels thin out; at most
STRIP = 0.25  # inches that a single row or column spans at least
GAP = 0.2  # inches between panels


def draw_grid(
    weights, mask, queries, keys, row_titles, column_titles, title, xlabel, ylabel, axes, limits,
    cmap, annotate, bar_label,
):  # fmt: skip
    """Draw weights (rows, columns, Tq, Tk) in the current style; returns the axes."""
    around = [text or "" for text in (title, xlabel, ylabel)]
    queries, keys, row_titles, column_titles, (title, xlabel, ylabel) = map(
        fonts.drawable, (queries, keys, row_titles, column_titles, around)
    )
    side_labels = [f"{row_title}\n{ylabel}".strip() for row_title in row_titles]
    norm, own_page = Normalize(*limits), axes is None
    if own_page:
        axes = _new_axes(weights.shape, side_labels, column_titles)
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
        ax.tick_params(labelleft=at[1] == 0, labelbottom=at[0] == len(axes) - 1)
    _write_titles(axes, column_titles, side_labels, xlabel)
    if own_page:
        pages.fit_page(axes[0, 0].figure, title)
    elif title:
        axes[0, 0].figure.suptitle(title)
    return axes


def _new_axes(shape, side_labels, column_titles):
    """Axes on a new page, with a pitch at which no title runs into the next."""
    rows, columns, Tq, Tk = shape
    longest = max(Tq, Tk)
    cell = min(max(CELL[0], PANEL[1] / longest), CELL[1], PAGE / (columns * Tk), PAGE / (rows * Tq))
    cell = max(cell, PANEL[0] / longest)
    size = max(STRIP, cell * Tk), max(STRIP, cell * Tq)
    pitch = (
        GAP + max(size[0], fonts.text_width(column_titles, rcParams["axes.titlesize"])),
        GAP + max(size[1], fonts.text_width(side_labels, rcParams["axes.labelsize"])),
    )
    return pages.place_grid(pages.new_page(), rows, columns, size, pitch)


def _draw_bar(axes, own_page, mappable, label, beyond):
    """One colour bar for all axes, pointed where weights lie beyond its (lower, upper) end."""
    figure = axes[0, 0].figure
    if own_page:
        low, high = axes[-1, -1].get_position(), axes[0, 0].get_position()
        middle, height = (low.y0 + high.y1) / 2, high.y1 - low.y0
        place = {"cax": pages.place_bar(figure, low.x1 + GAP, middle, height)}
    else:
        place = {"ax": axes.ravel().tolist()}
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[beyond]
    figure.colorbar(mappable, label=label, extend=extend, **place)


def _write_titles(axes, above, beside, below):
    """Titles over the first row, labels at the left of the first column and below the last row."""
    height = axes[0, 0].bbox.height / axes[0, 0].figure.dpi
    rise = max(0.0, fonts.text_width(beside, rcParams["axes.labelsize"]) - height) / 2
    for ax, text in zip(axes[0], above, strict=True):
        if text:
            ax.set_title(text, pad=rcParams["axes.titlepad"] + 72 * rise)  # clear of the labels
    for ax, text in zip(axes[:, 0], beside, strict=True):
        ax.set_ylabel(text)
    for ax in axes[-1]:
        ax.set_xlabel(below)
