"""How fast each pair of columns turns in `rotary`, and how to slow it down for longer texts.

    rotary_speeds    s_i = base^(−2i/W)            radians per position, i = 0 … W/2 − 1
    linear_scaling   s_i / f                       position interpolation: all slower
    ntk_scaling      s_i f^(−2i/(W−2))             the fastest unchanged, the slowest by f
    llama3_scaling   s_i (1 − m_i + m_i / f)       m_i: 0 for fast pairs, 1 for slow ones, a ramp

A model that was trained on texts of length T has never seen the angles beyond T s_i. Dividing all
speeds by f brings f T positions into what it has seen, and blurs neighbours; the two others keep
the fast pairs, which tell neighbours apart, and slow the pairs that never came around.
A pair that turns n = length s_i / 2π times in training is fast from n = high on and slow up to
n = low: m_i = clip((high − n) / (high − low), 0, 1).
All take and return speeds (W/2,), so that they can be chained.
Source: Su et al. 2021, "RoFormer", section 3.2.2; Chen et al. 2023, "Extending Context Window",
section 2.3, for linear; Peng et al. 2023, "YaRN", section 3.1, for NTK; Meta's Llama 3.1 code.
"""

import numpy as np

from npattn.kernels.options import require_counts


def rotary_speeds(width, *, base=10000.0) -> np.ndarray:
    """The angle that each pair of columns turns per position.

    width  W, how many columns turn; even
    base   one turn of the slowest pair takes nearly 2π · base positions

    Returns (W/2,), falling from 1 to nearly 1/base, float64.
    Raises ValueError for an odd or no width or a base that is not positive.

    >>> rotary_speeds(4, base=100.0).round(12).tolist()
    [1.0, 0.1]
    """
    require_counts(2, width=width)
    if width % 2:
        raise ValueError(f"width must be even, since columns turn in pairs, got {width}")
    if not 0.0 < base < np.inf:
        raise ValueError(f"base must be positive, such as 10000.0, got {base!r}")
    return 1.0 / float(base) ** (np.arange(0, width, 2) / width)


def linear_scaling(speeds, factor) -> np.ndarray:
    """All pairs slower by `factor`: position t turns as position t / factor did.

    >>> linear_scaling(np.array([1.0, 0.1]), 4.0).tolist()
    [0.25, 0.025]
    """
    return _speeds(speeds) / _factor(factor)


def ntk_scaling(speeds, factor) -> np.ndarray:
    """The slowest pair slower by `factor`, the fastest as it was, those between by powers of it.

    It is the same as base · factor^(W/(W−2)) for the base.

    >>> ntk_scaling(np.array([1.0, 0.1, 0.01]), 4.0).tolist()
    [1.0, 0.05, 0.0025]
    """
    last = max(len(_speeds(speeds)) - 1, 1)
    return speeds * _factor(factor) ** (-np.arange(len(speeds)) / last)


def llama3_scaling(speeds, factor, *, low=1.0, high=4.0, length=8192) -> np.ndarray:
    """Pairs that turn seldom within `length` slower by `factor`, those that turn often unchanged.

    factor     ≥ 1: 8 in Llama 3.1, 32 in the small models of Llama 3.2
    low, high  turns within `length`: up to low a pair is slowed in full, from high on not at all
    length     of the texts that the model was trained on, in positions

    >>> llama3_scaling(np.array([1.0, 0.002, 0.0001]), 8.0).round(8).tolist()
    [1.0, 0.00118776, 1.25e-05]
    """
    require_counts(1, length=length)
    if not 0.0 < low < high:
        raise ValueError(f"need 0 < low < high, got low={low}, high={high}")
    turns = length * _speeds(speeds) / (2.0 * np.pi)
    m = np.clip((high - turns) / (high - low), 0.0, 1.0)
    return speeds * (1.0 - m + m / _factor(factor))


def _speeds(speeds):
    if not isinstance(speeds, np.ndarray) or speeds.dtype.kind != "f" or speeds.ndim != 1:
        raise TypeError("speeds must be a float array (W/2,), such as rotary_speeds(W) returns")
    return speeds


def _factor(factor):
    if not 1.0 <= factor < np.inf:
        raise ValueError(f"factor must be 1 or more, how many times longer the texts are: {factor}")
    return float(factor)
