"""The tiles of the score matrix: how large they are, who works on which, and their dropout.

A tile holds the scores of a few heads, a block of queries and a block of keys, (n, keys,
queries): BLAS is fastest that way round. It is as large as the second-level cache, so that it
is made, used and forgotten without going out to memory. Half as large, two threads took 8 to 15 %
longer. With more than LARGEST, products get slow: float64 tiles of 2,048 keys in a cache of 2 MiB.
Patches (heads, rows, keys), three slices, that add to different sums are worked on side by side.
"""

from functools import lru_cache

import numpy as np

from npattn.kernels.dropout import draw_keep

LARGEST = 2**20  # bytes of a tile, in either precision
QUERIES = 512   # to a tile, at most; 256 took 3 % longer: more patches, each with its small steps
RESTRICTED = 256  # where some keys are out of reach: a causal tile on the diagonal is half empty
PATCH = 1024    # queries, and keys, to a patch of the backward pass, at most
STREAM = 128    # queries that share one stream of random numbers


def blocks(begin, end, size):
    """Slices of `size` from begin to end, the last one shorter where it must be."""
    return [slice(i, min(i + size, end)) for i in range(begin, end, size)]


def tile_shape(Tq, Tk, itemsize, free=True):
    """How many heads, queries and keys make a tile. Short sequences share one. free: no masks."""
    room, queries = tile_bytes() // itemsize, max(1, min(QUERIES if free else RESTRICTED, Tq))
    keys = max(1, min(Tk, max(64, room // queries // 64 * 64)))
    heads = room // (queries * keys) if queries >= Tq and keys >= Tk else 1
    return max(1, heads), queries, keys


@lru_cache(maxsize=1)
def tile_bytes():
    """The size of the second-level cache, at most LARGEST; that where the system does not tell."""
    try:
        with open("/sys/devices/system/cpu/cpu0/cache/index2/size") as file:
            return min(LARGEST, int(file.read().strip().rstrip("K")) * 1024)
    except (OSError, ValueError):
        return LARGEST


def row_patches(N, Tq, Tk, shape):
    """Patches of a block of queries and all their keys, none of which waits for another.

    shape  heads, queries and keys to a tile

    Returns a list of pairs: a patch, and the sums it adds to beside others, here none. Those of
    one head follow each other, so that its keys and values stay in the cache; and the last
    queries come first, which under a causal mask have most to do: the last patch is a short one.
    """
    rows = blocks(0, Tq, shape[1])[::-1]
    return [((n, part, slice(0, Tk)), ()) for n in blocks(0, N, shape[0]) for part in rows]


def latin_patches(N, Tq, Tk, shape, sums=None, apart=None):
    """Patches of some queries and some keys, each of which adds to the sums of both.

    Patch (a, b) has its turn when b − a, modulo their number, is 1, 2 and so on: the diagonals of
    a Latin square, on which no two share queries, nor keys; so hardly one has to wait. The main
    diagonal, half empty under a causal mask, is last: its patches are short.
    sums   which sums a patch adds to: sums(heads, a, b); None means those of its own heads
    apart  how many of the N heads add to different sums: a diagonal has four such patches
    """
    sums = sums or (lambda heads, a, b: (("queries", heads.start, a), ("keys", heads.start, b)))
    size = max(shape[1], min(PATCH, (apart or N) * Tq // 4 // shape[1] * shape[1]))
    rows, keys = blocks(0, Tq, size), blocks(0, Tk, max(size, shape[2]))
    side = max(len(rows), len(keys))
    return [
        ((n, part, keys[b]), sums(n, a, b))
        for turn in range(1, side + 1)
        for n in blocks(0, N, shape[0])
        for a, part in enumerate(rows)
        if (b := (a + turn) % side) < len(keys)
    ]


def draw_seed(rate, rng):
    """A seed for `keep_tile`; None if nothing is dropped. The arguments are as in `draw_keep`."""
    if draw_keep(np.empty(0), rate, rng) is None:
        return None
    return int(rng.integers(2**63))


def keep_tile(rate, seed, heads, rows, keys):
    """Which weights of a tile survive dropout; the same whenever, and for whatever tile, one asks.

    heads, rows, keys  slices

    Returns (n, keys, queries) bool. Philox makes random numbers from a counter, so that a
    stream of them can be entered anywhere. A head has a stream for every STREAM queries, and
    key j begins at its 32-bit number j · STREAM.
    """
    first, last = rows.start // STREAM, -(-rows.stop // STREAM)
    count, threshold = keys.stop - keys.start, np.uint32(int(rate * 2**32))
    keep = np.empty((heads.stop - heads.start, count, last - first, STREAM), bool)
    for head in range(heads.start, heads.stop):
        for stream in range(first, last):
            key = np.array([seed, (head << 32) + stream], np.uint64)
            bits = np.random.Philox(key=key, counter=keys.start * STREAM // 8)
            numbers = bits.random_raw(count * STREAM // 2).view(np.uint32).reshape(count, STREAM)
            keep[head - heads.start, :, stream - first] = numbers >= threshold
    begin = rows.start - first * STREAM
    return keep.reshape(*keep.shape[:2], -1)[..., begin : begin + rows.stop - rows.start]
