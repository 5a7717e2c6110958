"""Timing contenders side by side, so that a drift of the machine hits all alike.

A contender is a function that does the work once. If it returns a function, that one is its
second half, a backward pass for instance, and timed apart. A round times every contender once, in
an order of its own: whoever always came after the one that fills the memory would look slow. A
ratio is taken within a round, and the median over the rounds is what counts.
Before each timing there is a pause: the idle workers of OpenMP and OpenBLAS spin for a while
after their last task, and would take the core that the next contender needs.
"""

import math
import random
import statistics
import time
from contextlib import contextmanager
from typing import NamedTuple

ENOUGH = 0.05   # seconds that a timing should last: a shorter task is repeated
FEWEST = 3      # rounds, however long they take
LONG = 2.0      # seconds from which a task is not run twice before the timing


class Timing(NamedTuple):
    """Seconds per call of one contender, one number for each round."""

    forward: list
    backward: list  # of the second half; 0 where there is none

    @property
    def both(self):
        return [sum(halves) for halves in zip(*self, strict=True)]

    def median(self, half="both"):
        return statistics.median(getattr(self, half))


class Setting(NamedTuple):
    """What all tables are measured under."""

    threads: int         # the same for all contenders
    bridge: object       # npattn.torch_bridge, or None where torch is not installed
    quick: bool = False  # fewer sizes
    rounds: int = 11
    pause: float = 0.4   # seconds of rest before each timing
    budget: float = 30.0  # seconds after which a comparison of FEWEST rounds begins no other

    def compare(self, contenders):
        """`compare` under this setting, with `threads` threads for everybody."""
        with same_threads(self.threads, self.bridge):
            return compare(
                contenders, rounds=self.rounds, pause=self.pause, budget=self.budget
            )


def compare(contenders, *, rounds=11, pause=0.4, budget=math.inf):
    """Time contenders in turn, in another order each round, the same in every call.

    contenders  dict from name to function
    rounds      how often each is timed, after one or two calls that do not count
    pause       seconds of rest before each timing
    budget      seconds; once they are over, no round begins beyond the third

    Returns a dict from name to Timing.
    """
    start, names, order = time.perf_counter(), [*contenders], random.Random(0)
    repeats = {name: _repeats(run) for name, run in contenders.items()}
    table = {name: Timing([], []) for name in contenders}
    for done in range(rounds):
        if done >= FEWEST and time.perf_counter() - start > budget:
            break
        for name in order.sample(names, len(names)):
            time.sleep(pause)
            seconds = _seconds(contenders[name], repeats[name])
            for time_taken, half in zip(seconds, table[name], strict=True):
                half.append(time_taken)
    return table


def ratio(timing, to, half="both"):
    """The median over the rounds of one contender's time over another's.

    half  "forward", "backward" or "both"
    """
    pairs = zip(getattr(timing, half), getattr(to, half), strict=True)
    return statistics.median(a / b for a, b in pairs)


@contextmanager
def same_threads(threads, bridge=None):
    """BLAS and torch held to so many threads. JAX cannot be told once it has begun."""
    from threadpoolctl import threadpool_limits

    before = bridge and bridge.torch.get_num_threads()
    try:
        if bridge:
            bridge.torch.set_num_threads(threads)
        with threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        if bridge:
            bridge.torch.set_num_threads(before)


def _repeats(run):
    first = sum(_seconds(run, 1))  # caches fill, threads start, JAX compiles
    return 1 if first > LONG else max(1, round(ENOUGH / sum(_seconds(run, 1))))


def _seconds(run, repeats):
    """Seconds per call of both halves."""
    forward = backward = 0.0
    for _ in range(repeats):
        start = time.perf_counter()
        second_half = run()
        between = time.perf_counter()
        forward += between - start
        if callable(second_half):
            second_half()
            del second_half  # what the first half has kept is given back within its time
            backward += time.perf_counter() - between
    return forward / repeats, backward / repeats
