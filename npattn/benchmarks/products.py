"""How fast the products of a tile are: in NumPy's BLAS, in large products, and in torch's BLAS.

A tile's products are thin, as wide as a head. A BLAS may do large products well and these badly;
then no order of tiles helps, and it is BLAS that is slow, not what stands around it.
"""

import time

import numpy as np

from npattn.benchmarks.blas import CORETYPE, VARIABLE, hint_applies
from npattn.benchmarks.machine import blas_of_numpy, has_avx512
from npattn.kernels.tiling.tiles import tile_shape

WIDTH, LARGE, TOKENS = 64, 1024, 4096
SLOW = 0.75  # of large products, or of torch's: what is below is told


def speeds(dtype, bridge=None, rounds=15):
    """Billions of multiplications and additions a second, {name: number}, the best of the rounds.

    "tile" is the product of a transposed tile with V, the slowest of the five; "large" is square.
    """
    _, queries, keys = tile_shape(TOKENS, TOKENS, np.dtype(dtype).itemsize)
    tile = np.ones((keys, queries), dtype).T, np.ones((keys, WIDTH), dtype)
    square = np.ones((LARGE, LARGE), dtype), np.ones((LARGE, LARGE), dtype)
    found = {"tile": _best(np.matmul, *tile, rounds), "large": _best(np.matmul, *square, rounds)}
    if bridge:
        found["torch"] = _best(bridge.torch.matmul, *bridge.to_torch(tile), rounds)
    return found


def _best(product, A, B, rounds):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        product(A, B)
        times.append(time.perf_counter() - start)
    return 2e-9 * A.shape[0] * A.shape[1] * B.shape[1] / min(times)


def verdict(dtype, found):
    """A line: whether BLAS is what is slow, by how much, and what would help."""
    tile, others = found["tile"], {k: v for k, v in found.items() if k != "tile"}
    name, best = max(others.items(), key=lambda item: item[1])
    words = {"large": "of what large products run at", "torch": "of torch's"}[name]
    text = f"{dtype}: products of a tile run at {tile:.0f} GF/s, {tile / best:.2f} {words}"
    if tile >= SLOW * best:
        return f"{text}; BLAS is not what is slow"
    if hint_applies(blas_of_numpy(), has_avx512()):
        return f"{text}; BLAS is slow, not npattn: {VARIABLE}={CORETYPE} may help, see --only blas"
    help_ = "a NumPy with another BLAS, MKL or a newer OpenBLAS, may help"
    return f"{text}; BLAS is slow, not npattn: {help_}"
