"""Slopes by differences on a ladder of steps, each with its error, and whether a kink is there.

    D(t) = (F(X + t v) − F(X − t v)) / 2t          wrong by order t²
    R    = D(t) + (D(t) − D(4t)) / 15              Richardson: wrong by order t⁴

Each rung is a quarter of the one above. A large step bends with F, a small one loses digits to
rounding: for each output the rung with the least error is taken. The error of a rung is

    max(|R − R above|, |R above − the one above that| / 10)  +  noise / t

so that two rungs that agree by chance are not believed, nor one that finer rungs contradict. A rung
that leaves F's domain (NaN, or an exception) is passed over.

At a kink the slopes to both sides differ, |F(X + t v) + F(X − t v) − 2 F(X)| / t, by an amount that
stays as t shrinks; where F is smooth it shrinks, where it is rounding it grows.
"""

from typing import NamedTuple

import numpy as np

RATIO, LEVELS = 4.0, 26
FIRST_STEP = 2.0**-6            # in units of what moves
FAR = 2.0**-7                   # in the same units: from here on, a kink stays
NEAR = 2.0 ** -np.arange(14.0, 50.0, 6.0)
NO_STEP = 2.0**-50              # in the same units: what this changes is rounding of X
SPACING = 2.0**-36              # in the same units: of the values whose rounding is compared
MANY = 8.0                      # so many jumps of one size are no single step of F itself
AGREED = 1e-12                  # relative: no rung need do better
DOUBLE = np.finfo(np.float64).eps


class Slopes(NamedTuple):
    """The slope of each output along one direction."""

    value: np.ndarray  # (m,) NaN where no rung gave a number
    error: np.ndarray  # (m,) inf there
    kink: np.ndarray   # (m,) by how much the slopes to both sides differ; 0 where there is no kink
    noise: np.ndarray  # (m,) rounding of the outputs themselves


def ladder(change, unit, rounding):
    """`Slopes` of the outputs (m,) as the point moves by t.

    change    change(t) is F(X + t v) − F(X), (m,)
    unit      the length of v: steps are parts of it
    rounding  (m,) rounding that is known already
    """
    with np.errstate(all="ignore"):
        still = np.fmax(*(np.abs(_guarded(change, t * unit)) for t in (NO_STEP, -NO_STEP)))
        noise = np.fmax(rounding, np.nan_to_num(still, nan=0.0, posinf=0.0))
        jitter, close = _jitter(change, unit, np.shape(noise))
        noise = np.fmax(noise, jitter)
        kink, bent = _kink(change, unit, noise)
        rungs, moved, D, R, step, least, most = [], [], None, None, None, np.inf, 0.0
        for level in range(LEVELS):
            t = unit * FIRST_STEP / RATIO**level
            up, down = _guarded(change, t), _guarded(change, -t)
            above, D = D, (up - down) / (2 * t)
            moved.append((t, up, down))
            if above is None or not np.isfinite(above).any():
                continue
            above, R = R, D + (D - above) / (RATIO**2 - 1)
            if above is None:
                continue
            last, step = step, np.abs(R - above)
            doubt = step if last is None else np.fmax(step, last / 10)
            doubt = doubt + DOUBLE * np.fmax(np.abs(up), np.abs(down)) / t  # F rounds out there
            rungs.append((t, R, doubt + AGREED * np.abs(R)))
            error, most = doubt + noise / t, np.fmax(most, np.abs(R))
            astray = np.abs(R - close) > MANY * (error + noise / (SPACING * unit))
            least = np.fmin(least, np.where(astray, np.inf, error))
            enough = np.fmax(2 * AGREED * np.abs(R), noise / t / RATIO)
            if (noise / t > MANY * most if bent else least <= enough).all():
                break
        noise = np.fmax(noise, _grain(change, moved, noise.shape))
        value, error = _best([(R, doubt + noise / t) for t, R, doubt in rungs], noise.shape)
    return Slopes(value, error, kink, noise)


def _kink(change, unit, noise):
    """(m,) by how much the slopes to both sides differ, where that stays as steps shrink, else 0.

    It shows from long steps on, or from short ones on where a bend hides it at first. A pole or a
    kink close by looks like a kink until steps are shorter than its distance. Returns also whether
    any output shows one from long steps on: their differences then agree, and are wrong.
    """

    def apart(t):
        return np.abs(_guarded(change, t * unit) + _guarded(change, -t * unit)) / (t * unit)

    far, bent = apart(FAR), False
    stays, weak = np.full(noise.shape, True), np.full(noise.shape, False)
    for t in NEAR:
        near, telling = apart(t), far > 1e3 * noise / (t * unit)  # what was there would show here
        stays &= ~telling & (t < NEAR[1]) | telling & (near > far / 8) & (near < 8 * far)
        # A bend shrinks with t; the kink that it hid at first does not.
        weak = np.where(telling & (t < NEAR[0]), (near > far / 2) & (near < 2 * far), weak)
        bent |= t == NEAR[0] and stays.any()
        far = np.where(telling, near, far)
        if not telling.any():
            break
    return np.where(stays | weak, far, 0.0), bent


def _grain(change, moved, shape):
    """(m,) the size of the jumps in which an output moves that rounds far above its own last bit,
    as 1 − cos(1e-7) does: it stands still under the shortest moves. Elsewhere 0.

    F itself may stand still as well, beside a kink. But it goes on smoothly beyond.
    """
    steps = np.array([t for t, *_ in moved])
    up, down = (np.array([np.broadcast_to(m[i], shape) for m in moved]) for i in (1, 2))
    sizes = np.nan_to_num(np.fmax(np.abs(up), np.abs(down)))
    grain = np.where(sizes > 0.0, sizes, np.inf).min(axis=0)
    still = (sizes == 0.0).any(axis=0) & (sizes.max(axis=0) >= MANY * grain)
    if not still.any():
        return np.zeros(shape)
    last = len(steps) - 1 - np.argmax(sizes[::-1] > 0.0, axis=0)  # the shortest that moves it
    flat = np.full(shape, False)
    for i in np.unique(last[still]):
        for side, there in ((1, up[i]), (-1, down[i])):
            beyond = [_guarded(change, side * steps[i] * (1 + part)) for part in (1 / 16, -1 / 16)]
            flat |= (last == i) & (there != 0.0) & np.any([there == b for b in beyond], axis=0)
    return np.where(still & flat, grain, 0.0)


def _jitter(change, unit, shape):
    """(m,) rounding inside F, which may be far above that of its output: 1 + tanh(x) cancels.

    Fourth differences of equally spaced values: what is smooth drops out, what is rounding stays,
    √70 times as large. Source: Moré and Wild 2011, "Estimating computational noise".
    Returns also the slope of these values: F may be steep over such steps alone, as the inverse of
    a matrix that is nearly singular.
    """
    values = np.broadcast_arrays(*(
        _guarded(change, k * SPACING * unit) if k else np.zeros(shape) for k in range(-3, 4)))
    fourth = np.abs(np.diff(values, 4, axis=0)).max(axis=0)
    slope = (values[-1] - values[0]) / (6 * SPACING * unit)
    return np.nan_to_num(fourth, nan=0.0, posinf=0.0) / 4, slope


def _best(rungs, shape):
    """The value and error of the rung with the least error that no finer rung contradicts."""
    value, error, rivals = np.full(shape, np.nan), np.full(shape, np.inf), []
    for R, doubt in reversed(rungs):
        agrees = [np.abs(R - other) <= 10 * (doubt + unsure) for other, unsure in rivals]
        better = (doubt < error) & np.all([np.isfinite(R), *agrees], axis=0)
        value, error = np.where(better, R, value), np.where(better, doubt, error)
        rivals += [(R, doubt)] * bool(np.isfinite(R).all())
    return value, error


def _guarded(change, t):
    """change(t), or NaN where F is not defined there."""
    try:
        return np.asarray(change(t), np.float64)
    except Exception:  # whatever F raises outside its domain
        return np.asarray(np.nan)


def units(leaf):
    """A length for each entry: its own size, or that over which functions bend where it has none.
    """
    size = np.abs(leaf)
    return np.where((size > 0.0) & np.isfinite(size), size, bend(leaf))


def bend(leaf):
    """A length over which functions of the leaf bend: 1, as exp does, but less for tiny entries."""
    finite = leaf[np.isfinite(leaf)]
    size = np.sqrt(np.mean(finite**2)) if finite.size else 0.0
    return min(float(size) ** 0.5, 1.0) or 1.0
