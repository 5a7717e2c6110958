"""What the options of `tiled_attention` cost: each beside the same call without it.

Grouped heads, a sink and a window need no more products. A cap needs a tanh for every score, once
forward and once backward: "tanh alone" adds nothing but these tanh to the call, and is the least
that a cap can cost. A bias with an entry for each score cannot stay in the cache: memory is read
three times, for its size, forward and backward, and its gradient is written, to new pages. That
alone is about a tenth of the call, for as many bytes as the matrix has that is never made.
"""

from functools import partial
from itertools import product

import numpy as np

from npattn.benchmarks.attention import DTYPES
from npattn.benchmarks.contenders import draw_inputs
from npattn.benchmarks.tables import beside, heading, times
from npattn.kernels.tiling.tiled import tiled_attention, tiled_attention_backward
from npattn.kernels.tiling.tiles import tile_shape

SHAPES, QUICK = ((1, 8, 1024, 64), (1, 4, 4096, 64)), ((1, 4, 1024, 64),)
TITLE = "an option of tiled_attention, forward and backward; the ratio to the call without it"
HEADER = heading("batch × heads × tokens × width", "with", "without")


def options_of(shape, dtype):
    """{name: (group, options)}: how many heads of queries share one of keys, and the arguments."""
    _, H, T, _ = shape
    group = min(4, H)
    draw = partial(np.random.default_rng(1).standard_normal, dtype=dtype)
    return {
        "grouped heads": (group, {}),
        "sink": (1, {"sink": draw(H)}),
        "window": (1, {"window": (T // 4, 0)}),
        "bias of keys": (1, {"bias": draw((1, T))}),
        "one bias": (1, {"bias": draw((T, T))}),
        "bias of each head": (1, {"bias": draw((H, T, T))}),
        "cap": (1, {"cap": 50.0}),
        "tanh alone": (1, None),
        "all": (group, {
            "cap": 50.0, "bias": draw((H // group, group, T, T)), "sink": draw((H // group, group)),
        }),
    }


def contender(inputs, group, options):
    """Forward, which returns backward; where options are None, each with its tanh alone."""
    Q, K, V, dO = inputs
    if group > 1:
        Q, dO = (X.reshape(len(X), -1, group, *X.shape[-2:]) for X in (Q, dO))
        K, V = (X[:, ::group, None] for X in (K, V))
    queries, keys = tile_shape(Q.shape[-2], K.shape[-2], Q.itemsize)[1:]
    tile = dO.reshape(-1)[: queries * keys].copy()
    tanhs = 0 if options is not None else Q[..., 0].size * K.shape[-2] // tile.size

    def repeated():
        out = np.empty_like(tile)
        for _ in range(tanhs):
            np.tanh(tile, out=out)

    def forward():
        _, cache = tiled_attention(Q, K, V, threads=1, **(options or {}))
        repeated()

        def backward():
            tiled_attention_backward(dO, cache)
            repeated()

        return backward

    return forward


def measure(setting):
    """Yields a row for each shape, precision and option, on one thread."""
    setting = setting._replace(threads=1)
    for shape, dtype in product(QUICK if setting.quick else SHAPES, DTYPES):
        inputs = draw_inputs(shape, dtype)
        for name, (group, options) in options_of(shape, np.dtype(dtype)).items():
            timings = setting.compare({
                "with": contender(inputs, group, options),
                "without": contender(inputs, 1, {}),
            })
            yield {"shape": list(shape), "dtype": dtype, "option": name, "timings": timings}


def line(row):
    """Sizes, the option, milliseconds with and without it, and their ratio."""
    return beside(f"{times(row['shape'])} {row['dtype']} {row['option']}", row["timings"])


def summary(rows):
    """Nothing: each option is a line of its own."""
    return ()
