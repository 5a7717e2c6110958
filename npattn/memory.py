"""Memory that an array has given up is kept for the next one.

A training step makes and drops the same arrays as the step before. Linux's C library would hand
most of that memory back to the system and ask for it again, page by page, which takes a quarter
of the time of a step. It stops doing so by itself once it has seen a large block freed: what it
keeps from then on is twice as much as that block. So it is shown one, without a byte of it being
touched. Other systems do not care.
Source: mallopt(3), M_MMAP_THRESHOLD, "the dynamic mmap threshold".
"""

import numpy as np

BLOCK = 31 * 2**20  # bytes; from 32 MiB on, the C library does not learn


def keep_freed_memory():
    """From now on up to 62 MiB of freed memory stay with this process, ready for new arrays."""
    np.empty(BLOCK, np.uint8)
