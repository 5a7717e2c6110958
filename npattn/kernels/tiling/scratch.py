"""Memory for tiles that are used and forgotten, again and again.

Fresh memory for each tile of scores would cost page faults, and would push the last tile out
of the cache without need. So a tile is written over an older one, in one of a few rooms:
whoever asks for a room must have done with what it held before. A room that nobody asks for
takes no memory, since the system gives it none before it is written to.
"""

import threading
from functools import lru_cache

import numpy as np

from npattn.kernels.tiling.tiles import tile_bytes

ROOMS, SPARE = 4, 2**16  # bytes; for rows that are longer than they need be


class Scratch(threading.local):
    """Rooms for a tile each, to each thread its own."""

    def __init__(self):
        size, line = tile_bytes() + SPARE, 64
        rooms = [np.empty(size + line, np.uint8) for _ in range(ROOMS)]
        begins = [-room.ctypes.data % line for room in rooms]
        self.rooms = [room[i : i + size] for room, i in zip(rooms, begins, strict=True)]
        self.place = lru_cache(maxsize=256)(self._place)

    def product(self, room, A, B, turned=False):
        """A B, for A (n, i, j) and B (n, j, k), over what that room held. n may be 1 in one.

        turned  it lies in memory column by column
        """
        if turned:
            return self.product(room, B.swapaxes(1, 2), A.swapaxes(1, 2)).swapaxes(1, 2)
        out = self.place(room, max(len(A), len(B)), A.shape[1], B.shape[2], A.dtype)
        return np.matmul(A, B, out=out)

    def like(self, room, X):
        """An array in that room, which holds anything and lies in memory as X (n, i, k) does."""
        if not X.flags.c_contiguous:
            return self.like(room, X.swapaxes(1, 2)).swapaxes(1, 2)
        place = self.place(room, *X.shape, X.dtype)
        return np.empty_like(X) if place is None else place

    def _place(self, room, n, i, k, dtype):
        """An array (n, i, k) in that room; None, that is fresh memory, if there is no place."""
        size = n * i * k * dtype.itemsize
        fits = size <= self.rooms[room].size
        return self.rooms[room][:size].view(dtype).reshape(n, i, k) if fits else None
