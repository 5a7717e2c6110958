"""Numbers for the cases of an exercise: random, and short enough to copy onto paper."""

import numpy as np


def draw(rng, *shape):
    """Normal numbers of that shape, rounded to eighths: exact in float32, and quick to write down.

    None of them is 0, which would hide whatever it is multiplied with.
    """
    X = np.round(rng.standard_normal(shape) * 8.0) / 8.0
    return np.where(X == 0.0, 0.125, X)


def draw_mask(rng, *shape):
    """A boolean mask (..., Tq, Tk), True = may attend, about two thirds of it True.

    The first row is dead: that query may attend to nothing. Every other row has both kinds, so
    that no row looks as if there were no mask.
    """
    mask = rng.random(shape) < 0.67
    mask[..., 0], mask[..., -1] = True, False
    mask[..., 0, :] = False
    return mask


def draw_attention(rng):
    """Cases of Q, K, V and sometimes a mask, in which every mistake of a backward shows."""
    X = draw(rng, 3, 2)
    return {
        "one query, two keys": (draw(rng, 1, 2), draw(rng, 2, 2), draw(rng, 2, 1)),
        "every length different": (draw(rng, 2, 3), draw(rng, 4, 3), draw(rng, 4, 5)),
        "one array as queries, keys and values": (X, X, X),
        "a mask, and a query that may attend to nothing": (
            draw(rng, 3, 2), draw(rng, 4, 2), draw(rng, 4, 5), draw_mask(rng, 3, 4),
        ),
        "a batch": (draw(rng, 2, 3, 5), draw(rng, 2, 4, 5), draw(rng, 2, 4, 1)),
    }
