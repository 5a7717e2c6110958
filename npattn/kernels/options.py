"""What every page asks of its options, the arguments that are no arrays."""

import math

import numpy as np


INTEGERS = int, np.integer
NUMBERS = *INTEGERS, float, np.floating
BOOLS = bool, np.bool_
NO_NUMBERS = bool, np.timedelta64  # which are kinds of int and of np.integer
LARGEST = 2**53  # of counts and places: then sums of some are exact in every arithmetic
CAPS = 1e-30, 1e30  # then a score over the cap, and the cap itself, are finite in float32


def require_real(**numbers):
    """Finite real numbers, such as a scale; the last is returned as a float."""
    for name, x in numbers.items():
        number = require_number(**{name: x})
        if not math.isfinite(number):
            raise ValueError(f"{name} must be finite, got {x!r}")
    return number


def require_number(**named):
    """A real number, maybe NaN or inf; returned as a float. Raises TypeError otherwise."""
    (name, x), = named.items()
    _require_kind(NUMBERS, f"{name} must be a number", x)
    try:
        return float(x)
    except OverflowError:  # an integer beyond all floats
        return math.inf


def score_scale(scale, Q):
    """The factor on the scores, a float: `scale`, or 1/√D for queries Q (..., Tq, D) if None."""
    if scale is not None:
        return require_real(scale=scale)
    if Q.shape[-1] == 0:
        raise ValueError(f"Q {Q.shape} must be at least 1 wide, or scale be given")
    return 1.0 / math.sqrt(Q.shape[-1])


def require_rate(rate, name="dropout"):
    """A dropout rate lies in [0, 1). Raises ValueError otherwise, TypeError for no number."""
    _require_kind(NUMBERS, f"{name} rate must be a number in [0, 1)", rate)
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"{name} rate must lie in [0, 1), got {rate!r}")


def require_eps(**named):
    """What a norm adds under its root is 0 or more. Raises ValueError that names it otherwise."""
    if require_real(**named) < 0.0:
        (name, eps), = named.items()
        raise ValueError(f"{name} must be 0 or more, such as 1e-6, got {eps!r}")


def require_cap(cap):
    """A soft cap is positive and lies in CAPS; returned as a float. Raises ValueError otherwise."""
    if not CAPS[0] <= (number := require_number(cap=cap)) <= CAPS[1]:
        raise ValueError(f"cap must be positive, such as 50.0, got {cap!r}; it may lie in "
                         "1e-30 … 1e30, and None is no cap")
    return number


def require_counts(least, **counts):
    """Integers, `least` or more (None: any), and at most LARGEST in size.

    Raises TypeError for other kinds, else ValueError.
    """
    for name, n in counts.items():
        _require_kind(INTEGERS, f"{name} must be an integer", n)
        if least is not None and n < least:
            raise ValueError(f"{name} must be at least {least}, got {n}")
        if abs(int(n)) > LARGEST:
            raise ValueError(f"{name} must be at most 2**53 in size, got {n}")


def require_flag(name, flag):
    """A switch is True or False, also NumPy's. Raises TypeError otherwise."""
    _require_kind(BOOLS, f"{name} must be True or False", flag)


def require_choice(name, value, choices):
    """One of the strings that `choices` holds. Raises ValueError otherwise."""
    if not isinstance(value, str) or value not in choices:
        *others, last = (f'"{choice}"' for choice in choices)
        raise ValueError(f"{name} must be {', '.join(others)} or {last}, got {value!r}")


def require_generator(rng, dtype=np.float64):
    """Randomness comes from a Generator that the caller has made. Raises TypeError otherwise."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, got {type(rng).__name__}; "
                        "make one with np.random.default_rng(seed)")
    require_float_dtype(dtype)


def require_float_dtype(dtype):
    """np.float32 or np.float64, by whatever name. Raises TypeError otherwise."""
    if np.dtype(dtype).char not in "fd":
        raise TypeError(f"dtype must be float32 or float64, got {np.dtype(dtype)}")


def require_integer_range(name, value):
    """Raises ValueError if an integer of the array is larger than LARGEST, or −LARGEST."""
    if value.size and max(int(value.max()), -int(value.min())) > LARGEST:
        raise ValueError(f"{name} must be at most 2**53 in size, got {value.min()} … {value.max()}")


def _require_kind(kinds, words, x):
    if not isinstance(x, kinds) or isinstance(x, NO_NUMBERS) and kinds is not BOOLS:
        raise TypeError(f"{words}, got {x!r}")
