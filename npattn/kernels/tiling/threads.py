"""Independent jobs side by side on a few threads, while BLAS keeps to one: page `blas_limit`.

NumPy lets go of the interpreter lock inside a matrix product or an exponential, so plain
Python threads share the work.

A job says to which places it adds something, and begins when the jobs before it that add to
one of them are done. So no job needs a lock, every sum is added up in the same order, and the
number of threads changes no bit.
"""

import os
import threading
from collections import deque
from contextlib import contextmanager
from functools import cache
from graphlib import TopologicalSorter

from npattn.kernels.tiling.blas_limit import blas_limit

MOST_THREADS = 1024


def thread_count(threads=None):
    """How many threads to use: the argument, else NPATTN_THREADS, else as many as BLAS would.

    Raises ValueError if the argument or the environment variable is no positive integer.
    """
    name, value = "threads", threads
    if value is None:
        name, value = "NPATTN_THREADS", os.environ.get("NPATTN_THREADS")
    if value is None:
        return blas_limit.threads()
    if not str(value).isdecimal() or int(value) < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return int(value)


def run(jobs, threads):
    """Does all jobs, in their order as far as their places allow.

    jobs     list of pairs: a function that takes no argument, and the places, hashable, to
             which it adds something; of two jobs with a common place the first comes first
    threads  how many of them run at a time; the caller is one

    An exception or Ctrl-C drops the jobs that have not begun, waits for those that have and
    goes on to the caller. The limit of BLAS is restored in any case.
    """
    from concurrent.futures import wait  # takes long to import

    agenda, cores, others = _Agenda(jobs), _cores(min(threads, len(jobs))), []
    with blas_limit.one():
        try:
            others.extend(_pool().submit(_work, agenda, core) for core in cores[1:])
            _work(agenda, cores[0])
        finally:
            agenda.close()
            others = [other for other in others if not other.cancel()]
            wait(others)
        for other in others:
            other.result()


def _work(agenda, core):
    """Does one job after the other, as long as there are any."""
    with _held_to(core):
        try:
            while (i := agenda.take()) is not None:
                agenda.jobs[i][0]()
                agenda.done(i)
        finally:
            agenda.close()


class _Agenda:
    """The jobs, by their numbers, of which nobody is given one before its time."""

    def __init__(self, jobs):
        self.jobs, self.ready, self.closed = jobs, deque(), False
        self.changed, self.order, last = threading.Condition(), TopologicalSorter(), {}
        for i, (_, places) in enumerate(jobs):
            self.order.add(i, *(last[place] for place in places if place in last))
            last |= dict.fromkeys(places, i)
        self.order.prepare()

    def take(self):
        """A job that may begin, as soon as there is one; None when all are done."""
        with self.changed:
            while self.order.is_active() and not self.closed:
                self.ready.extend(self.order.get_ready())
                if self.ready:
                    return self.ready.popleft()
                self.changed.wait()

    def done(self, i):
        """Others may have waited for that one."""
        with self.changed:
            self.order.done(i)
            self.changed.notify_all()

    def close(self):
        """From now on nobody begins another."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()


def _cores(count):
    """A core for each of `count` threads if there are just as many, the caller's first.

    Left alone, the system may wake two threads on one core and let them share it for longer
    than all their work takes. Where cores remain free it chooses itself: None for each.
    """
    try:
        cores = sorted(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not every system has it
        cores = []
    return cores if len(cores) == count > 1 else [None] * max(1, count)


@contextmanager
def _held_to(core):
    """Keeps the calling thread on that core meanwhile; None lets it go where it likes."""
    if core is None:
        yield
        return
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {core})
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@cache
def _pool():
    """Threads that stay: asleep they cost nothing, starting them would, at every call.

    One is started only when all others work, so there are as many as ever worked at once.
    """
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="npattn")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # whose threads a child does not have
