"""Sinusoidal positions.

    P[t, 2i]     = sin(t / 10000^(2i/D))       t = offset … offset + T − 1
    P[t, 2i + 1] = cos(t / 10000^(2i/D))

Each pair of columns is a clock hand that turns at its own speed, from 1 radian a step down
to nearly 1/10000; moving on by k steps rotates every pair by a fixed angle. The table is
constant, so adding it to X needs no backward: d(X + P) = dX. Unpaired, column c has a speed of
its own, 10000^(−c/D), and there is no rotation; codes that build the two exponents from
arange(0, D, 2) and arange(1, D, 2) do that.
Source: Vaswani et al. 2017, section 3.5; d2l 11.6.3.
"""

import numpy as np

from npattn.kernels.options import require_float_dtype


def sinusoidal_positions(T, D, *, offset=0, paired=True, dtype=np.float64):
    """The encoding of T consecutive positions.

    T       how many positions, ≥ 0
    D       width, even or odd; an odd one ends in a sine without its cosine
    offset  the first position: when decoding step by step, the number of tokens already read
    paired  True: sine and cosine share a frequency; False: every column has its own

    Returns P (T, D), entries in [−1, 1].
    Raises ValueError for a negative T or offset or a D below 1.
    """
    if T < 0 or D < 1 or offset < 0:
        raise ValueError(f"need T ≥ 0, D ≥ 1, offset ≥ 0; got T={T}, D={D}, offset={offset}")
    require_float_dtype(dtype)
    t = np.arange(offset, offset + T)[:, None]
    column = np.arange(D)
    angle = t / 10000.0 ** ((column - column % 2 if paired else column) / D)
    P = np.empty((T, D), dtype)
    P[:, 0::2] = np.sin(angle[:, 0::2])
    P[:, 1::2] = np.cos(angle[:, 1::2])
    return P
