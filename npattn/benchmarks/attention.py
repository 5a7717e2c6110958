"""Attention by all contenders: full and causal, in both precisions, short and long.

A ratio is the time of `tiled_attention` over that of another: below 1, tiles are faster.
"""

from itertools import product
from statistics import geometric_mean

from npattn.benchmarks.contenders import NAMES, attention_contenders, draw_inputs
from npattn.benchmarks.tables import milliseconds, times
from npattn.benchmarks.timing import ratio

SHAPES = (2, 8, 512, 64), (2, 8, 1024, 64), (1, 8, 4096, 64), (1, 4, 8192, 64)
QUICK = ((1, 8, 1024, 64),)
DTYPES = "float32", "float64"
TITLE = "attention, forward and backward; the ratio to torch forward, backward and both"
HEADER = (
    f"{'batch × heads × tokens × width':32}"
    + "".join(f"{name:>16}" for name in NAMES)
    + "   forw  back  both"
)


def measure(setting):
    """Yields a row for each shape, precision and mask."""
    return rows(setting, QUICK if setting.quick else SHAPES)


def rows(setting, shapes, names=NAMES, masks=(False, True)):
    """Yields a row for each of `shapes` and `masks` in both precisions, `names` side by side."""
    for shape, dtype, causal in product(shapes, DTYPES, masks):
        contenders = attention_contenders(
            draw_inputs(shape, dtype), setting, causal=causal, names=names
        )
        timings = setting.compare(contenders)
        yield {"shape": list(shape), "dtype": dtype, "causal": causal, "timings": timings}


def line(row):
    """Sizes, milliseconds of each contender, and the ratios to torch where it is measured."""
    timings = row["timings"]
    label = f"{times(row['shape'])} {row['dtype']}{' causal' if row['causal'] else ''}"
    cells = "".join(f"{milliseconds(timings.get(name)):>16}" for name in NAMES)
    if "torch" not in timings:
        return f"{label:32}{cells}"
    halves = (
        ratio(timings["tiled_attention"], timings["torch"], half)
        for half in ("forward", "backward", "both")
    )
    return f"{label:32}{cells}   " + "  ".join(f"{value:.2f}" for value in halves)


def summary(measured):
    """Geometric means of the ratios to each rival, and the worst: a line each."""
    groups = {}
    for row in measured:
        length = "at 512 tokens" if row["shape"][-2] < 1024 else "from 1,024 tokens on"
        for rival in row["timings"].keys() - {"tiled_attention"}:
            groups.setdefault((NAMES.index(rival), row["dtype"], length), []).append(
                ratio(row["timings"]["tiled_attention"], row["timings"][rival])
            )
    for (rival, dtype, length), ratios in sorted(groups.items()):
        yield (
            f"tiled_attention over {NAMES[rival]}, {dtype}, {length}: "
            f"geometric mean {geometric_mean(ratios):.2f}, worst {max(ratios):.2f}"
        )
