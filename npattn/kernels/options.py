"""What every page asks of its options, the arguments that are no arrays."""

import numpy as np


def require_rate(rate):
    """A dropout rate lies in [0, 1). Raises ValueError otherwise."""
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"dropout rate must lie in [0, 1), got {rate!r}")


def require_counts(least, **counts):
    """Integers that are `least` or more. Raises TypeError for other kinds, ValueError for less."""
    for name, n in counts.items():
        if not isinstance(n, (int, np.integer)):
            raise TypeError(f"{name} must be an integer, got {n!r}")
        if n < least:
            raise ValueError(f"{name} must be at least {least}, got {n}")


def require_choice(name, value, choices):
    """One of the strings that `choices` holds. Raises ValueError otherwise."""
    if value not in choices:
        *others, last = (f'"{choice}"' for choice in choices)
        raise ValueError(f"{name} must be {', '.join(others)} or {last}, got {value!r}")


def require_generator(rng):
    """Randomness comes from a Generator that the caller has made. Raises TypeError otherwise."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng must be a numpy.random.Generator, got {type(rng).__name__}; "
            "make one with np.random.default_rng(seed)"
        )


def require_float_dtype(dtype):
    """np.float32 or np.float64, by whatever name. Raises TypeError otherwise."""
    if np.dtype(dtype).char not in "fd":
        raise TypeError(f"dtype must be float32 or float64, got {np.dtype(dtype)}")
