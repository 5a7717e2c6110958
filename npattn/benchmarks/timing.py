"""Timing two or more contenders side by side, so that a drift of the machine hits all alike.

A round times every contender once, in turn: A B A B … A ratio is taken within a round, and the
median over the rounds is what counts. Before each timing there is a pause: the idle workers of
OpenMP and OpenBLAS spin for a while after their last task, and would take the core that the
next contender needs.
"""

import statistics
import time
from typing import NamedTuple

ENOUGH = 0.05  # seconds that a timing should last: a shorter task is repeated


class Timing(NamedTuple):
    """Seconds per call of one contender, and its ratios to the first, round by round."""

    seconds: list
    ratios: list

    @property
    def median(self):
        return statistics.median(self.seconds)

    @property
    def ratio(self):
        """The median over the rounds of this contender's time over the first one's."""
        return statistics.median(self.ratios)


def compare(contenders, *, rounds=9, pause=0.4):
    """Time functions of no argument in turn.

    contenders  dict from name to function
    rounds      how often each is timed, after one call that does not count
    pause       seconds of rest before each timing

    Returns a dict from name to Timing.
    """
    repeats = {name: _repeats(run) for name, run in contenders.items()}
    table = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            time.sleep(pause)
            table[name].append(_seconds(run, repeats[name]))
    first = next(iter(table.values()))
    return {
        name: Timing(seconds, [s / f for s, f in zip(seconds, first, strict=True)])
        for name, seconds in table.items()
    }


def _repeats(run):
    run()  # caches fill, memory pools grow
    return max(1, round(ENOUGH / _seconds(run, 1)))


def _seconds(run, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats
