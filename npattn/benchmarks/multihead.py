"""Multi-head attention, beside an equal torch.nn.MultiheadAttention.

Float32, biases and the output projection on, gradients of all inputs and parameters, keys and
values from one source. The sizes are those of the text's sections and what follows from them.
Freed memory stays with the process, as it does while a model is trained.
"""

from functools import partial
from statistics import geometric_mean
from typing import NamedTuple

import numpy as np

from npattn.benchmarks.tables import beside, heading, times
from npattn.benchmarks.timing import ratio
from npattn.memory import keep_freed_memory
from npattn.models.multihead import (
    init_multihead,
    multihead_attention,
    multihead_attention_backward,
)


class Size(NamedTuple):
    """batch × queries × keys × width, and heads."""

    batch: int
    queries: int
    keys: int
    width: int
    heads: int


SIZES = (
    Size(2, 4, 6, 100, 5),
    Size(2, 10, 10, 128, 2),
    Size(64, 10, 10, 256, 4),
    Size(128, 32, 32, 256, 4),
    Size(8, 128, 128, 512, 8),
)
TITLE = "multi-head attention, forward and backward, float32; the ratio to torch"
HEADER = heading("batch × queries × keys × width, heads", "npattn", "torch")


def contenders(size, bridge=None, seed=0):
    """The same work by npattn and, where the bridge is given, by torch: name → function."""
    keep_freed_memory()
    rng = np.random.default_rng(seed)
    params = init_multihead(size.width, rng, dtype=np.float32)
    X, M, dY = (
        rng.standard_normal((size.batch, T, size.width), dtype=np.float32)
        for T in (size.queries, size.keys, size.queries)
    )

    def ours():
        _, cache = multihead_attention(X, M, M, params, num_heads=size.heads)
        return partial(multihead_attention_backward, dY, cache)

    if bridge is None:
        return {"npattn": ours}
    module = bridge.torch.nn.MultiheadAttention(size.width, size.heads, batch_first=True)
    bridge.export_module(params, module)
    x, m = bridge.to_torch((X, M), requires_grad=True)
    dy = bridge.to_torch(dY)
    wanted = (x, m, *module.parameters())

    def theirs():
        y, _ = module(x, m, m, need_weights=False)
        return lambda: bridge.torch.autograd.grad(y, wanted, dy)

    return {"npattn": ours, "torch": theirs}


def products_and_exponentials(size, seed=0):
    """A contender: what `contenders` does, but its matrix products and exponentials alone.

    Twelve products with parameters, six of attention, heads laid out as if it cost nothing.
    """
    rng = np.random.default_rng(seed)
    batch, queries, keys, D, H = size
    X, M, W = (rng.standard_normal((n, D), dtype=np.float32)
               for n in (batch * queries, batch * keys, D))
    Q, K = (rng.standard_normal((batch, H, T, D // H), dtype=np.float32) for T in (queries, keys))
    S, dS = np.empty((2, batch, H, queries, keys), np.float32)
    rows, dQ, dK, dW = (np.empty_like(room) for room in (X if queries > keys else M, Q, K, W))

    def forward():
        for source in (X, M, M, X):
            product(source, W, rows[: len(source)])
        product(Q, K.swapaxes(2, 3), S)
        np.exp(S, out=S)
        product(S, K, dQ)
        return backward

    def backward():
        for source in (X, M, M, X):
            product(source, W.T, rows[: len(source)])
            product(source.T, source, dW)
        product(S.swapaxes(2, 3), Q, dK)
        product(Q, K.swapaxes(2, 3), dS)
        product(dS, K, dQ)
        product(dS.swapaxes(2, 3), Q, dK)

    return forward


def product(A, B, room):
    """A B, written to `room`."""
    np.matmul(A, B, out=room)


def measure(setting):
    """Yields a row for each size."""
    for size in SIZES:
        timings = setting.compare(contenders(size, setting.bridge))
        yield {**size._asdict(), "timings": timings}


def line(row):
    """Sizes and heads, milliseconds of each contender, and the ratio to torch."""
    sizes = Size(*(row[field] for field in Size._fields))
    return beside(f"{times(sizes[:-1])}, {sizes.heads}", row["timings"])


def summary(rows):
    """The geometric mean of the ratios to torch, if it was measured."""
    ratios = [ratio(*row["timings"].values()) for row in rows if "torch" in row["timings"]]
    if ratios:
        yield f"npattn over torch: geometric mean {geometric_mean(ratios):.2f}"
