"""Figures whose every size is given in inches, so that nothing overlaps or is cut off.

A page starts one inch square, on which fractions of the figure are inches; things are
placed wherever they belong, y upwards, and fit_page then cuts the page to what lies on it.
"""

import numpy as np
from matplotlib import pyplot
from matplotlib.transforms import Bbox

BAR = 0.11  # inches across a colour bar


def new_page():
    """A figure one inch square. It is pyplot's, so that a notebook shows it."""
    return pyplot.figure(figsize=(1, 1))


def place_grid(figure, rows, columns, size, pitch):
    """Axes (rows, columns) of `size`, one `pitch` apart from centre to centre, both (x, y)."""
    axes = np.empty((rows, columns), dtype=object)
    corner = -np.array(size) / 2
    for r, c in np.ndindex(rows, columns):
        left, bottom = corner + (c * pitch[0], -r * pitch[1])
        axes[r, c] = figure.add_axes((left, bottom, *size), label=f"panel {r} {c}")
    return axes


def place_bar(figure, left, middle, height):
    """Axes for a colour bar, at least 0.9 inches tall."""
    height = max(height, 0.9)
    return figure.add_axes((left, middle - height / 2, BAR, height), label="colour bar")


def fit_page(figure, title="", margin=0.08):
    """Give the figure the size of all that is drawn on it, wherever that lies.

    The title comes above it all.
    """
    box = _extent(figure)
    if title:
        middle = (box.x0 + box.x1) / 2
        text = figure.text(
            middle, box.y1 + margin, title, ha="center", va="bottom", fontsize="large"
        )
        box = Bbox.union([box, _inches(text)])
    size = box.size + 2 * margin
    corner = box.min - margin
    figure.set_size_inches(size)
    for ax in figure.axes:
        place = ax.get_position(original=True)
        ax.set_position([*(place.min - corner) / size, *place.size / size])
    for text in figure.texts:
        text.set_position((np.array(text.get_position()) - corner) / size)


def _extent(figure):
    """The box in inches around all that is drawn, and the labels that exceed their axis."""
    labels = [axis.label for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
    boxes = [_inches(label) for label in labels if label.get_text()]
    return Bbox.union([figure.get_tightbbox(), *boxes])


def _inches(text):
    """The box in inches around a text."""
    return text.get_window_extent().transformed(text.figure.dpi_scale_trans.inverted())
