"""One matrix drawn as cells, with its labels, hatching and numbers.

Rows run downwards, columns to the right. Cells that may not be attended to are hatched;
a row in which all are has a red edge and ∅ at its right. Labels thin out to every 2nd,
5th, 10th … where all would not fit, whatever size the axes have when they are drawn.
"""

import itertools

import numpy as np
from matplotlib import rcParams
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, Locator

from npattn.plots import fonts

LARGEST_VECTOR = 3_000  # cells; if there are more, a matrix is an image, inside an .svg or .pdf too
LARGEST_ANNOTATED = 8  # rows or columns that get numbers unasked
NUMBER_SIZE = 7  # points
LINE = 1.25  # height of a line of text over its size in points
HATCH, LINES, DEAD = "#8c8c8c", "#d9d9d9", "#d55e00"


def draw_cells(ax, M, norm, cmap, *, mask=None, annotate=False, as_image=False):
    """Draw M (rows, columns); hatch where mask is False. Returns the QuadMesh or AxesImage."""
    rows, columns = M.shape
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    ax.apply_aspect()
    width, height = cell_points(ax)
    if as_image:
        drawn = ax.imshow(M, norm=norm, cmap=cmap, interpolation="none", aspect=ax.get_aspect())
    else:
        drawn = ax.pcolormesh(
            np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5, M, norm=norm, cmap=cmap,
            edgecolors=LINES if min(width, height) > 12 else "face", linewidth=0.4,
        )
    if mask is not None:
        _hatch(ax, ~mask & (M == 0), rcParams["axes.facecolor"])
        _hatch(ax, ~mask & (M != 0), "none")  # a weight where none should be stays in sight
        _mark_dead_rows(ax, ~mask.any(axis=1), height)
    if annotate or (annotate is None and max(M.shape) <= LARGEST_ANNOTATED):
        _write_numbers(ax, M, drawn, mask, None if annotate else (width, height))
    return drawn


def label_tokens(ax, queries, keys):
    """Name the rows and columns of a matrix; keys too wide for their cells stand upright."""
    size = rcParams["xtick.labelsize"]
    widest = 72 * fonts.text_width(keys, size) + 1
    upright = widest > cell_points(ax)[0] and not keys[-1].isdecimal()
    for axis, texts, room in (
        (ax.xaxis, keys, size * LINE if upright else widest),
        (ax.yaxis, queries, size * LINE),
    ):
        axis.set_tick_params(labelsize=size, labelfontfamily=rcParams["font.family"])
        axis.set_major_locator(ThinningLocator(len(texts), room))
        names = dict(enumerate(texts))
        axis.set_major_formatter(FuncFormatter(lambda at, _, names=names: names.get(round(at), "")))
    ax.xaxis.set_tick_params(labelrotation=90 if upright else 0)


class ThinningLocator(Locator):
    """Ticks at 0, step, 2 step, … with the least step of 1, 2, 5, 10, … that leaves room."""

    def __init__(self, count, room):
        self.count, self.room = count, room  # positions; points that one label needs

    def __call__(self):
        pitch = cell_points(self.axis.axes)[self.axis.axis_name == "y"]
        steps = (m * 10**e for e in itertools.count() for m in (1, 2, 5))
        step = next(s for s in steps if s * pitch >= self.room or s >= self.count)
        low, high = sorted(self.axis.get_view_interval())
        return [i for i in range(0, self.count, step) if low <= i <= high]


def cell_points(ax):
    """Width and height in points of a cell of what is drawn in the axes."""
    point = ax.figure.dpi / 72
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    return ax.bbox.width / abs(right - left) / point, ax.bbox.height / abs(top - bottom) / point


def _hatch(ax, cells, background):
    """One hatched outline around all the marked cells."""
    boxes = [
        Path([(a, y), (b, y), (b, y + 1), (a, y + 1), (a, y)], closed=True)
        for y, row in enumerate(cells)
        for a, b in _runs(row)
    ]
    if boxes:
        outline = Path.make_compound_path(*boxes)
        outline.vertices -= 0.5
        ax.add_patch(
            PathPatch(outline, facecolor=background, edgecolor=HATCH, hatch="/////", linewidth=0)
        )


def _mark_dead_rows(ax, dead, height):
    """A red right edge along rows that may attend to nothing, and ∅ where there is room."""
    beside = ax.get_yaxis_transform()
    free = -np.inf
    for start, stop in _runs(dead):
        ax.plot([1, 1], [start - 0.5, stop - 0.5], color=DEAD, linewidth=2, transform=beside,
                clip_on=False, solid_capstyle="butt", zorder=3)  # fmt: skip
        middle = (start + stop - 1) / 2
        if (middle - free) * height >= 8 * LINE:
            free = middle
            ax.annotate("∅", (1, middle), (3, 0), xycoords=beside, textcoords="offset points",
                        va="center", fontsize=8, color=DEAD)  # fmt: skip


def _runs(flags):
    """(start, stop) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return edges.reshape(-1, 2).tolist()


def _write_numbers(ax, M, drawn, mask, room):
    """Each allowed entry in its cell; none if they need more than room (width, height) points."""
    shown = np.full(M.shape, True) if mask is None else mask
    decimals = ".2f" if 0.1 <= abs(M).max() < 100 else ".2g"
    cells = np.argwhere(shown)
    texts = [f"{M[i, j]:{decimals}}".replace("-0.00", "0.00") for i, j in cells]
    need = 72 * fonts.text_width(texts, NUMBER_SIZE), NUMBER_SIZE * LINE
    if room and (need[0] > room[0] or need[1] > room[1]):
        return
    red, green, blue, _ = np.moveaxis(drawn.cmap(drawn.norm(M)), -1, 0)
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
    for (i, j), text in zip(cells, texts, strict=True):
        ax.text(j, i, text, ha="center", va="center", fontsize=NUMBER_SIZE,
                color="white" if dark[i, j] else "#262626")  # fmt: skip
