"""In which precision does a function really compute?

A function may take float64 and cast to float32 or float16 inside, as JAX does unless told not to.
Its outputs then move in jumps: under two tiny moves, one four times the other, they do not move as
a slope, a bend or a kink would, or not at all. The finest precision without such jumps is its own.
"""

import numpy as np

from npattn.checking.derivatives import random_weights
from npattn.checking.ladder import units

HALF = 2.0**-8  # coarser than float16's and as coarse as bfloat16's
COARSEST = (2.0**-7, 2.0**-4, 2.0**-2)  # relative moves that every precision shows
FINEST = 2.0**-20  # of a move: a coarse precision does not show it
# epsilon of a precision, relative moves that it resolves, and one that a coarser one shows as well
PRECISIONS = (
    (2.0**-52, (2.0**-38, 2.0**-25), 2.0**-17),
    (2.0**-23, (2.0**-13,), 2.0**-9),
)


def inner_epsilons(F, Y, leaves, rng):
    """For each leaf, the machine epsilon of the arithmetic through which it reaches the outputs.

    All leaves are moved at once; only where that shows jumps is each looked at by itself.
    """
    everything = range(len(leaves))
    if _epsilon(F, Y, leaves, everything, rng) == PRECISIONS[0][0]:
        return [PRECISIONS[0][0]] * len(leaves)
    return [_epsilon(F, Y, leaves, [k], rng) for k in everything]


def _epsilon(F, Y, leaves, chosen, rng):
    moves = {
        k: units(leaves[k]) * random_weights(leaves[k].shape, rng) for k in chosen
    }

    def change(t):
        try:
            return F([leaf + t * moves.get(k, 0.0) for k, leaf in enumerate(leaves)]) - Y
        except Exception:  # outside F's domain, which tells nothing of its precision
            return np.full(Y.shape, np.nan)

    usual = np.median(np.abs(Y)) if Y.size else 0.0
    with np.errstate(invalid="ignore"):
        for eps, moved, coarse in PRECISIONS:
            noise = 2048 * eps * np.maximum(np.abs(Y), usual)  # an output near 0 has cancelled
            # A kink at just that distance jumps under one of the moves, and not under the other.
            if not np.all([_jumps(change, t, coarse, noise) for t in moved], axis=0).any():
                return eps
    return HALF


def _jumps(change, fine, coarse, noise):
    """(m,) the outputs that jump, or stand still, under moves of size fine/4 and fine."""
    up, down, up_4, down_4 = map(change, (fine / 4, -fine / 4, fine, -fine))
    bent = 4 * (up - down) / 2 + 16 * (up + down) / 2   # a slope and a bend
    smooth = np.abs(up_4 - bent) <= 0.5 * np.abs(up_4) + noise
    kinked = np.abs(up_4 - 4 * up) <= 0.5 * np.abs(up_4) + noise
    kinked &= np.abs(down_4 - 4 * down) <= 0.5 * np.abs(down_4) + noise
    still = (up_4 == 0.0) & (down_4 == 0.0)
    if still.any():  # as beside a kink; but there F goes on smoothly beyond
        still &= np.any([_stands(change, t, fine, noise) for t in (coarse, *COARSEST)], axis=0)
    return ~(smooth | kinked) & np.isfinite(up_4 + down_4) | still


def _stands(change, t, fine, noise):
    """(m,) the outputs that stand still where they have moved by t, to both sides, and move so much
    by then that a move of size fine had to show. Beside a plateau they go on smoothly on one side.
    """
    up, down = change(t), change(-t)
    should = np.abs(up - down) / 2 * fine / t > noise / 256
    further = t + t * FINEST
    return should & (change(further) == up) & (change(-further) == down)
