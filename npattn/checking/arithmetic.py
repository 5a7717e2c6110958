"""In which precision does a function really compute?

A function may take float64 and cast to float32 or float16 inside, as JAX does unless told not to.
Its outputs then move in jumps: under two tiny moves, one four times the other, they do not move as
a slope, a bend or a kink would, or not at all. The finest precision without such jumps is its own.
"""

import numpy as np

from npattn.checking.ladder import units

HALF = 2.0**-8  # coarser than float16's and as coarse as bfloat16's
COARSEST = 2.0**-7  # a relative move that every precision shows
# epsilon of a precision, a relative move that it resolves, and one that a coarser one shows as well
PRECISIONS = ((2.0**-52, 2.0**-38, 2.0**-17), (2.0**-23, 2.0**-13, 2.0**-9))


def inner_epsilon(F, Y, leaves, k, rng):
    """The machine epsilon of the arithmetic through which leaf k reaches the outputs Y (m,)."""
    leaf = leaves[k]
    v = units(leaf) * rng.choice([-1.0, 1.0], leaf.shape) * rng.uniform(0.5, 1.5, leaf.shape)

    def change(t):
        try:
            return F([leaf + t * v if i == k else other for i, other in enumerate(leaves)]) - Y
        except Exception:  # outside F's domain, which tells nothing of its precision
            return np.full(Y.shape, np.nan)

    usual = np.median(np.abs(Y)) if Y.size else 0.0
    with np.errstate(invalid="ignore"):
        for eps, fine, coarse in PRECISIONS:
            noise = 2048 * eps * np.maximum(np.abs(Y), usual)  # an output near 0 has cancelled
            up, down, up_4, down_4 = map(change, (fine / 4, -fine / 4, fine, -fine))
            bent = 4 * (up - down) / 2 + 16 * (up + down) / 2   # a slope and a bend
            smooth = np.abs(up_4 - bent) <= 0.5 * np.abs(up_4) + noise
            kinked = np.abs(up_4 - 4 * up) <= 0.5 * np.abs(up_4) + noise
            kinked &= np.abs(down_4 - 4 * down) <= 0.5 * np.abs(down_4) + noise
            shows = np.any([
                np.abs(change(t) - change(-t)) / 2 * fine / t > 64 * eps * np.abs(Y)
                for t in (coarse, COARSEST)
            ], axis=0)
            still = (up_4 == 0.0) & (down_4 == 0.0) & shows
            if not (~(smooth | kinked) & np.isfinite(up_4 + down_4) | still).any():
                return eps
    return HALF
