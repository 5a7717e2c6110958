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

RATIO, LEVELS = 4.0, 18
FIRST_STEP = 2.0**-6            # in units of what moves
FAR, NEAR = 2.0**-10, 2.0 ** -np.arange(20.0, 50.0, 6.0)  # in the same units: a kink stays
NO_STEP = 2.0**-50              # in the same units: what this changes is rounding of X
SPACING = 2.0**-36              # in the same units: of the values whose rounding is compared
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
        noise = np.fmax(noise, _jitter(change, unit, np.shape(noise)))
        kink, bent = _kink(change, unit, noise)
        rungs, D, R, step = [], None, None, None
        for level in range(LEVELS):
            t = unit * FIRST_STEP / RATIO**level
            above, D = D, (_guarded(change, t) - _guarded(change, -t)) / (2 * t)
            if above is None or not np.isfinite(above).any():
                continue
            above, R = R, D + (D - above) / (RATIO**2 - 1)
            if above is None:
                continue
            last, step = step, np.abs(R - above)
            doubt = step if last is None else np.fmax(step, last / 10)
            rungs.append((R, doubt + noise / t + AGREED * np.abs(R)))
            if not bent and (rungs[-1][1] <= 3 * AGREED * np.abs(R)).all():
                break
        value, error = _best(rungs, noise.shape)
    return Slopes(value, error, kink, noise)


def _kink(change, unit, noise):
    """(m,) by how much the slopes to both sides differ, where that stays as steps shrink, else 0.

    A pole or a kink close by looks like a kink until steps are shorter than its distance. Returns
    also whether any output does so: differences of long steps then agree, and are wrong.
    """

    def apart(t):
        return np.abs(_guarded(change, t * unit) + _guarded(change, -t * unit)) / (t * unit)

    near = apart(FAR)
    stays, bent = np.full(noise.shape, True), False
    for t in NEAR:
        far, near = near, apart(t)
        seen = near > 1e3 * noise / (t * unit)
        stays &= ~seen & (t != NEAR[0]) | seen & (near > far / 8) & (near < 8 * far)
        bent |= t == NEAR[0] and stays.any()
        near = np.where(seen, near, far)
        if not (stays & seen).any():
            break
    return np.where(stays, near, 0.0), bent


def _jitter(change, unit, shape):
    """(m,) rounding inside F, which may be far above that of its output: 1 + tanh(x) cancels.

    Fourth differences of equally spaced values: what is smooth drops out, what is rounding stays,
    √70 times as large. Source: Moré and Wild 2011, "Estimating computational noise".
    """
    values = [
        _guarded(change, k * SPACING * unit) if k else np.zeros(shape) for k in range(-3, 4)
    ]
    fourth = np.abs(np.diff(np.broadcast_arrays(*values), 4, axis=0)).max(axis=0)
    return np.nan_to_num(fourth, nan=0.0, posinf=0.0) / 4


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
    """A length for each entry: its own size, or where it is 0 that over which functions bend."""
    return np.where(leaf == 0.0, bend(leaf), np.abs(leaf))


def bend(leaf):
    """A length over which functions of the leaf bend: 1, as exp does, but less for tiny entries."""
    finite = leaf[np.isfinite(leaf)]
    size = np.sqrt(np.mean(finite**2)) if finite.size else 0.0
    return min(float(size) ** 0.5, 1.0) or 1.0
