"""BLAS held to one thread, as long as somebody needs that.

One product per core beats one product on all cores after the other: what a core works on stays in
its cache, and none waits for the slowest at every step. So while jobs run side by side, the BLAS
library underneath keeps to one thread.
"""

import os
import threading
from contextlib import contextmanager
from functools import lru_cache


class BlasLimit:
    """One thread for BLAS, as long as anybody asks for it.

    BLAS has a single limit for the whole process. If two callers saved and restored it each
    for itself, the second would save the 1 that the first has set, and restore that for good.
    So the first to come saves the limit and the last to go restores it.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.holders = set()
        self.saved = {}

    @contextmanager
    def one(self):
        holder = object()
        try:
            with self.lock:
                if not self.holders:
                    self.saved = {library: library.num_threads for library in _blas()}
                self.holders.add(holder)
                for library in self.saved:
                    _set_threads(library, 1)
            yield
        finally:
            with self.lock:
                self.holders.discard(holder)
                if not self.holders:
                    self._restore()

    def threads(self):
        """As many as BLAS would use by itself; all cores where the library is unknown."""
        with self.lock:
            counts = self.saved.values() or [library.num_threads for library in _blas()]
        return max(counts, default=os.cpu_count() or 1)

    def after_fork(self):
        """A child process has none of its parent's threads: there are no holders."""
        self.lock = threading.Lock()
        self.holders.clear()
        self._restore()

    def _restore(self):
        for library, count in self.saved.items():
            _set_threads(library, count)
        self.saved = {}


def _set_threads(library, count):
    """Sets the limit from whatever thread this is.

    Since threadpoolctl 3.8 the public way obeys one thread, the first that sets a limit, and does
    nothing in others; which one that is stays as it is, for the caller's own limits.
    """
    getattr(library, "_real_set_num_threads", library.set_num_threads)(count)


@lru_cache(maxsize=1)
def _blas():
    """The BLAS libraries in this process. Finding them takes far longer than limiting them."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


blas_limit = BlasLimit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=blas_limit.after_fork)
