"""Memory for matrix products that are used and forgotten, again and again.

Fresh memory for each tile of scores would cost page faults, and would push the last tile out
of the cache without need. So a product is written over an older one, in one of three rooms:
whoever asks for it must have done with what that room held before.
"""

import threading
from functools import lru_cache

import numpy as np

from npattn.kernels.tiling.tiles import cache_bytes


class Scratch(threading.local):
    """Three rooms for a tile each, to each thread its own."""

    def __init__(self):
        size, line = cache_bytes(), 64
        rooms = [np.empty(size + line, np.uint8) for _ in range(3)]
        begins = [-room.ctypes.data % line for room in rooms]
        self.rooms = [room[i : i + size] for room, i in zip(rooms, begins, strict=True)]
        self.place = lru_cache(maxsize=256)(self._place)

    def product(self, room, A, B):
        """A B, for A (n, i, j) and B (n, j, k), over what the last product left in that room."""
        out = self.place(room, A.shape[0], A.shape[1], B.shape[2], A.dtype)
        return np.matmul(A, B, out=out)

    def _place(self, room, n, i, k, dtype):
        """An array (n, i, k) in that room; None, that is fresh memory, if there is no place."""
        size = n * i * k * dtype.itemsize
        fits = size <= self.rooms[room].size
        return self.rooms[room][:size].view(dtype).reshape(n, i, k) if fits else None
