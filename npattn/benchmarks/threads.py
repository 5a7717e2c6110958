"""What more threads bring: `tiled_attention` with one thread, and with all."""

from itertools import product
from statistics import geometric_mean

from npattn.benchmarks.attention import DTYPES, QUICK, SHAPES
from npattn.benchmarks.contenders import attention_contenders, draw_inputs
from npattn.benchmarks.tables import beside, heading, times
from npattn.benchmarks.timing import ratio

TITLE = "tiled_attention with one thread, and with all; how many times faster"
HEADER = heading("batch × heads × tokens × width", "one", "all")


def measure(setting):
    """Yields a row for each shape and precision; none if there is but one thread."""
    if setting.threads == 1:
        return
    for shape, dtype in product(QUICK if setting.quick else SHAPES, DTYPES):
        inputs = draw_inputs(shape, dtype)
        contenders = {
            str(threads): attention_contenders(
                inputs, setting._replace(threads=threads), names=["tiled_attention"]
            )["tiled_attention"]
            for threads in (1, setting.threads)
        }
        yield {"shape": list(shape), "dtype": dtype, "timings": setting.compare(contenders)}


def line(row):
    """Sizes, milliseconds with one thread and with all, and their ratio."""
    return beside(f"{times(row['shape'])} {row['dtype']}", row["timings"])


def summary(rows):
    """The geometric mean of the ratios, or that there are none."""
    if rows:
        mean = geometric_mean(ratio(*row["timings"].values()) for row in rows)
        yield f"{[*rows[0]['timings']][1]} threads over 1: geometric mean {mean:.2f}"
    else:
        yield "there is only one thread to use"
