"""The distance from the limit: what the matrix products and the exponentials alone would take.

The same tiles as those of `tiled_attention`, the same products of the same sizes and as many
exponentials, dealt out to as many threads, and nothing else: no sums, no masks, no shifts. The
results mean nothing. Full attention, five products to a tile backward, two forward. Below stand
short multi-head calls, beside the products and exponentials that they are made of. Freed memory
stays with the process, as it does while a model is trained.
"""

import math
from functools import partial
from itertools import product
from statistics import geometric_mean

import numpy as np

from npattn.benchmarks import multihead
from npattn.benchmarks.attention import DTYPES, QUICK, SHAPES
from npattn.benchmarks.contenders import attention_contenders, draw_inputs
from npattn.benchmarks.machine import blas_of_numpy
from npattn.benchmarks.products import speeds, verdict
from npattn.benchmarks.tables import beside, heading, times
from npattn.benchmarks.timing import ratio, same_threads
from npattn.kernels.tiling.exp_range import exponential
from npattn.kernels.tiling.threads import run
from npattn.kernels.tiling.tiles import blocks, tile_shape
from npattn.memory import keep_freed_memory

TITLE = "the limit, products and exponentials alone; the share of it that is reached"
HEADER = heading("batch × heads × tokens × width", "limit", "npattn")


def products_and_exponentials(inputs, threads):
    """A contender: forward, which returns backward."""
    Q, K, V, dO = (X.reshape(-1, *X.shape[-2:]) for X in inputs)
    (N, T, D), base = Q.shape, exponential(Q.dtype)
    heads, queries, keys = tile_shape(T, T, Q.itemsize)
    factor = Q.dtype.type(1.0 / (math.sqrt(D) * base.ln))
    parts = [(n, i) for n in blocks(0, N, heads) for i in blocks(0, T, queries)]
    operands = [  # transposed before, as if it cost nothing
        (n, Q[n, i], dO[n, i], *(np.ascontiguousarray(X[n, i].swapaxes(1, 2)) for X in (Q, dO)))
        for n, i in parts
    ]
    for *_, QT, _ in operands:
        QT *= factor

    def forward_job(n, Qi, dOi, QT, gT):
        rooms = _rooms(heads, queries, keys, D, Q.dtype)
        for j in blocks(0, T, keys):
            S = _product(rooms[0], K[n, j], QT)
            base.exp(S, out=S)
            _product(rooms[2], S.swapaxes(1, 2), V[n, j])

    def backward_job(n, Qi, dOi, QT, gT):
        rooms = _rooms(heads, queries, keys, D, Q.dtype)
        for j in blocks(0, T, keys):
            S = _product(rooms[0], K[n, j], QT)
            base.exp(S, out=S)
            dS = _product(rooms[1], V[n, j], gT)
            _product(rooms[2], S, dOi)
            _product(rooms[2], dS, Qi)
            _product(rooms[2], dS.swapaxes(1, 2), K[n, j])

    def on_all(job):
        run([(partial(job, *operand), ()) for operand in operands], threads)

    def forward():
        on_all(forward_job)
        return partial(on_all, backward_job)

    return forward


def measure(setting):
    """Yields a row for each shape and precision, and for each short multi-head call."""
    keep_freed_memory()
    for shape, dtype in product(QUICK if setting.quick else SHAPES, DTYPES):
        inputs = draw_inputs(shape, dtype)
        contenders = {
            "limit": products_and_exponentials(inputs, setting.threads),
            **attention_contenders(inputs, setting, names=["tiled_attention"]),
        }
        with same_threads(1, setting.bridge):  # a thread of its own works on a tile
            speed = speeds(dtype, setting.bridge)
        yield {"shape": list(shape), "dtype": dtype, "speeds": speed,
               "timings": setting.compare(contenders)}
    for size in multihead.SIZES[-2:-1] if setting.quick else multihead.SIZES[-2:]:
        contenders = {
            "limit": multihead.products_and_exponentials(size), **multihead.contenders(size),
        }
        yield {"multihead": list(size), "dtype": "float32", "timings": setting.compare(contenders)}


def line(row):
    """Sizes, milliseconds of the limit and of npattn, and their ratio, the share."""
    if "shape" in row:
        return beside(f"{times(row['shape'])} {row['dtype']}", row["timings"])
    *sizes, heads = row["multihead"]
    return beside(f"{times(sizes)}, {heads} {row['dtype']}", row["timings"])


def summary(rows):
    """The shares of the limit that are reached, mean and worst; and whether BLAS is slow."""
    kinds = {}
    for row in rows:
        kinds.setdefault(_kind(row), []).append(ratio(*row["timings"].values()))
    for kind, shares in kinds.items():
        mean, worst = geometric_mean(shares), min(shares)
        yield f"share {kind}: geometric mean {mean:.2f}, worst {worst:.2f}"
    for dtype in DTYPES:
        found = [row["speeds"] for row in rows if "speeds" in row and row["dtype"] == dtype]
        if found:
            best = {name: max(each[name] for each in found) for name in found[0]}
            yield f"{blas_of_numpy()['name']}, {verdict(dtype, best)}"


def _kind(row):
    """Which share a row belongs to."""
    if "multihead" in row:
        return "of short multi-head calls"
    tokens = row["shape"][-2]
    return "from 1,024 tokens on" if tokens >= 1024 else f"at {tokens} tokens"


def _rooms(heads, queries, keys, D, dtype):
    """Room for two tiles, and for one result as wide as a head."""
    sizes = heads * keys * queries, heads * keys * queries, heads * max(keys, queries) * D
    return [np.empty(size, dtype) for size in sizes]


def _product(room, A, B):
    shape = (*A.shape[:2], B.shape[2])
    return np.matmul(A, B, out=room[: math.prod(shape)].reshape(shape))
