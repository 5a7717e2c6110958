"""One forward and backward of multi-head attention, beside an equal torch.nn.MultiheadAttention.

Float32, biases and the output projection on, gradients of all inputs and parameters, keys and
values from one source. The sizes are those of the text's sections and what follows from them.
"""

from typing import NamedTuple

import numpy as np

from npattn.benchmarks.timing import compare
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


def contenders(size, torch_bridge=None, seed=0):
    """The same work by npattn and, where the bridge is given, by torch: name → function."""
    rng = np.random.default_rng(seed)
    params = init_multihead(size.width, rng, dtype=np.float32)
    X, M, dY = (
        rng.standard_normal((size.batch, T, size.width), dtype=np.float32)
        for T in (size.queries, size.keys, size.queries)
    )

    def ours():
        _, cache = multihead_attention(X, M, M, params, num_heads=size.heads)
        return multihead_attention_backward(dY, cache)

    if torch_bridge is None:
        return {"npattn": ours}
    module = torch_bridge.torch.nn.MultiheadAttention(size.width, size.heads, batch_first=True)
    torch_bridge.export_module(params, module)
    x, m = torch_bridge.to_torch((X, M), requires_grad=True)
    dy = torch_bridge.to_torch(dY)

    def theirs():
        for tensor in (x, m, *module.parameters()):
            tensor.grad = None
        module(x, m, m, need_weights=False)[0].backward(dy)

    return {"torch": theirs, "npattn": ours}


def measure(torch_bridge=None, sizes=SIZES, **options):
    """Each Size with its timings. `options` are those of `compare`."""
    for size in sizes:
        yield size, compare(contenders(size, torch_bridge), **options)
