"""The drawing behind `anatomy`: matrices in a row, operators between, gradients below.

Where all cells hold their numbers no colour bar is needed.
"""

import numpy as np
from matplotlib import rcParams
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from npattn.plots import fonts, pages, panels

STRIP = 6.8  # inches that all matrices of a row together may span
HEIGHT = 3.0  # inches that one matrix may
CELL = 0.02, 0.38  # inches that a cell spans at least and at most
THIN = 0.12  # inches that a matrix spans at least
SPACE = 0.18  # inches on each side of an operator
CAPTIONS = 0.7  # inches between the two rows, for the texts there
NOTE, SIGN = 8, 14  # points
COLOURS = {"values": "RdBu_r", "weights": "Blues", "gradients": "PuOr_r"}


def draw_strip(steps, title):
    """Draw the steps in the current style; returns the figure."""
    figure = pages.new_page()
    sizes = _sizes(steps)
    tallest = max(height for _, height in sizes)
    lower = -tallest - CAPTIONS  # from the middle of the first row to that of the second
    values = _greatest(step.matrix for step in steps if step.kind == "values")
    weights = _greatest(step.matrix for step in steps if step.kind == "weights")
    scales = {"values": Normalize(-values, values), "weights": Normalize(0.0, weights)}
    x = free = 0.0  # where the next thing may start, in the first row and in the second
    numbered = True
    for step, size in zip(steps, sizes, strict=True):
        x = _write_operator(figure, x, step.sign, step.note)
        half = max(size[0], _width(step.name, str(step.matrix.shape))) / 2
        reach = max(half, _width(step.formula) / 2)
        middle = max(x + half, free + reach)
        norm = scales[step.kind]
        ax = _draw(figure, (middle, 0.0), size, step.matrix, norm, step.kind, step.mask)
        ax.set(title=step.name, xlabel=step.matrix.shape)
        numbered &= _is_numbered(ax, step)
        x = middle + half
        if step.gradient is not None:
            top = _greatest([step.gradient])
            norm = Normalize(-top, top)
            ax = _draw(figure, (middle, lower), size, step.gradient, norm, "gradients", step.mask)
            ax.set(title=step.formula, xlabel=f"{step.gradient.shape}\nmax {top:.2g}")
            free = middle + reach + SPACE
    if not numbered:
        _bar(figure, x + 0.3, 0.0, tallest, scales["values"], "values")
        _bar(figure, x + 1.0, 0.0, tallest, scales["weights"], "weights")
        if free:
            _bar(figure, x + 0.3, lower, tallest, Normalize(-1.0, 1.0), "gradients", " / max")
    pages.fit_page(figure, *fonts.drawable([title or ""]))
    return figure


def _draw(figure, middle, size, matrix, norm, kind, mask):
    """One matrix around its middle, on axes without ticks."""
    corner = np.array(middle) - np.array(size) / 2
    ax = figure.add_axes((*corner, *size))
    panels.draw_cells(
        ax, matrix, norm, COLOURS[kind], mask=mask, annotate=None,
        as_image=matrix.size > panels.LARGEST_VECTOR,
    )
    ax.set(xticks=[], yticks=[])
    return ax


def _is_numbered(ax, step):
    """Whether every cell that may be attended to holds its number."""
    shown = step.matrix.size if step.mask is None else step.mask.sum()
    return sum(text.get_text() != "∅" for text in ax.texts) == shown


def _bar(figure, left, middle, height, norm, kind, unit=""):
    """The colour bar of one kind of matrix."""
    bar = pages.place_bar(figure, left, middle, height)
    figure.colorbar(ScalarMappable(norm, COLOURS[kind]), cax=bar, label=kind + unit)


def _write_operator(figure, x, sign, note):
    """Write sign, with note above, from x on; returns where it ends."""
    if not sign:
        return x
    width = max(fonts.text_width([note], NOTE), fonts.text_width([sign], SIGN))
    middle = x + SPACE + width / 2
    figure.text(middle, 0.0, sign, ha="center", va="center", fontsize=SIGN)
    figure.text(middle, 0.12, note, ha="center", va="bottom", fontsize=NOTE)
    return middle + width / 2 + SPACE


def _width(*texts):
    """Inches that the widest title takes."""
    return fonts.text_width(texts, rcParams["axes.titlesize"])


def _sizes(steps):
    """(width, height) in inches of each matrix, with one size of cell for all."""
    rows, columns = np.array([step.matrix.shape for step in steps]).T
    cell = max(CELL[0], min(CELL[1], STRIP / columns.sum(), HEIGHT / rows.max()))
    return [(max(THIN, cell * c), max(THIN, cell * r)) for r, c in zip(rows, columns, strict=True)]


def _greatest(matrices):
    """The greatest magnitude in all the matrices; 1 if all are zero."""
    return float(max(abs(M).max() for M in matrices)) or 1.0
