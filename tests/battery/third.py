"""A third battery: kinks very close by, saturation, lost digits, and one precision alone."""

import math

import numpy as np
import scipy.special as sp

from battery.entry import (
    PERHAPS_RIGHT, PERHAPS_WRONG, RIGHT, Shelf, entry_off, factor, normal, positive,
    sign, small_entry, swapped, zero,
)

close = Shelf("kinks close by")
lost = Shelf("digits lost inside")
small = Shelf("small parts")
PERHAPS = {"due": PERHAPS_RIGHT, "wrong_due": PERHAPS_WRONG}  # rounding hides the rest

for gap in (1e-4, 1e-8, 1e-12):
    close.add(
        f"larger of two, {gap:g} apart", lambda a, b: (np.maximum(a, b), (a, b)),
        lambda d, c: (d * (c[0] > c[1]), d * (c[0] <= c[1])), np.array([1.0, 2.0, 3.0]),
        np.array([1.0 - gap, 2.5, 3.0 + gap]), wrong={"swapped": swapped()},
        due=PERHAPS_RIGHT if gap < 1e-8 else RIGHT)
for gap in (1e-4, 1e-8):
    close.add(
        f"smaller softplus, {gap:g} apart", lambda x: (
            np.minimum(np.log1p(np.exp(x[0])), np.log1p(np.exp(x[1]))) + x[2] ** 2, x),
        lambda d, x: d * np.array([sp.expit(x[0]) * (x[0] < x[1]),
                                   sp.expit(x[1]) * (x[0] >= x[1]), 2 * x[2]]),
        np.array([0.3, 0.3 + gap, 1.0]), wrong={"the smooth part halved": lambda d, x: d * np.array(
            [sp.expit(x[0]) * (x[0] < x[1]), sp.expit(x[1]) * (x[0] >= x[1]), x[2]])})
close.add("square of a ramp, at its corner", lambda x: (np.maximum(x, 0) ** 2, x),
          lambda d, x: 2 * d * np.maximum(x, 0), np.array([0.0, 1.0, -2.0, 1e-8]),
          wrong={"a constant": lambda d, x: 2 * d * np.maximum(x, 0) + 1e-3})
close.add(
    "mean deviation far from 0", lambda x: (np.abs(x - x.mean()).mean(), x),
    lambda d, x: d * (np.sign(x - x.mean()) - np.sign(x - x.mean()).mean()) / len(x),
    normal(800, 7) + 1e6, wrong={"mean held": lambda d, x: d * np.sign(x - x.mean()) / len(x)})

lost.add("1 - cos", lambda x: (1 - np.cos(x), x), lambda d, x: d * np.sin(x),
         np.array([1e-7, 0.1, 1.0]), wrong={"cos": lambda d, x: d * np.cos(x)})
lost.add("log(1 + exp)", lambda x: (np.log(1 + np.exp(x)), x), lambda d, x: d * sp.expit(x),
         np.array([-25.0, 0.0, 20.0]), wrong={"turned": lambda d, x: d * sp.expit(-x)})
lost.add("log(1 + exp) by math", lambda x: (np.array([math.log(1 + math.exp(t)) for t in x]), x),
         lambda d, x: d * sp.expit(x), np.array([-40.0, -36.0, 1.0, 30.0]),
         wrong={"turned": lambda d, x: d * sp.expit(-x)})
lost.add("tanh in half, saturated", lambda x: (np.tanh(x.astype("f2")).astype("f8"), x),
         lambda d, x: d * (1 - np.tanh(x) ** 2), np.array([3.0]), wrong={"zero": zero()}, **PERHAPS)
lost.add("variance far from 0", lambda x: (((x - x.mean(0)) ** 2).mean(0), x),
         lambda d, x: 2 * d * (x - x.mean(0)) / len(x), normal(801, 6, 3) + 1e6,
         wrong={"factor": factor(2.0), "one entry off by 1e-3": entry_off(1e-3)})
lost.add("abs far from 1", lambda x: (np.abs(x) * x, x), lambda d, x: 2 * d * np.abs(x),
         normal(802, 4) * 1e100, wrong={"half": factor(0.5)})
lost.add("abs far below 1", lambda x: (np.abs(x) * x, x), lambda d, x: 2 * d * np.abs(x),
         normal(803, 4) * 1e-100, wrong={"half": factor(0.5)})


def single(x):
    if x.dtype != np.float32:
        raise RuntimeError(f"expected float32, got {x.dtype}")
    return np.sin(x), x


lost.add("takes float32 alone", single, lambda d, x: d * np.cos(x), normal(804, 5).astype("f4"),
         wrong={"sign": sign(), "zero": zero()})

small.add("sines beside 1e12 in one sum", lambda x: (1e12 * abs(x[0]) + np.sin(x[1:]).sum(), x),
          lambda d, x: d * np.r_[1e12 * np.sign(x[0]), np.cos(x[1:])], normal(805, 5),
          wrong={"sines forgotten": lambda d, x: d * np.r_[1e12 * np.sign(x[0]), 0 * x[1:]]},
          **PERHAPS)
small.add("cubes of unlike size", lambda x: (np.abs(x) ** 3, x), lambda d, x: 3 * d * x * np.abs(x),
          np.array([1e-9, 1.0, 1e6, -1e-3]), wrong={"the smallest zero": small_entry(0.0)})
small.add("a trace of a norm", lambda w: ((w**4).sum() + 1e-7 * np.sqrt((w.real**2).sum()), w),
          lambda d, w: d * (4 * w**3 + 1e-7 * w / np.linalg.norm(w)), normal(806, 6),
          wrong={"forgotten": lambda d, w: d * 4 * w**3})
small.add("filter of a spectrum", lambda x: (np.fft.irfft(np.fft.rfft(x) * np.arange(5.0)), x),
          lambda d, x: np.fft.irfft(np.fft.rfft(d) * np.arange(5.0)), positive(807, 8),
          wrong={"factor": factor(8.0)})
