r"""d2l 11.3.2, level 2: Softmax behind a mask

A query may attend to some keys and not to others (padding, or the future). Its weights are the
softmax over the keys it may attend to, and exactly 0 for all others:

$$ p_j = \frac{m_j\, e^{s_j}}{\sum_k m_k\, e^{s_k}} ,
   \qquad m_j = 1 \text{ where allowed, else } 0 . $$

    S      (..., Tq, Tk)   scores
    mask   (..., Tq, Tk)   bool, True where the query may attend to the key
    P      (..., Tq, Tk)   weights

A forbidden score may be anything, also inf or NaN, without any effect. A query that may attend to
nothing gets weights 0. Scores may be large.
"""

import math

import numpy as np

from npattn.exercises.drawing import draw, draw_mask

ANSWER = {"P": "query key"}


def masked_softmax(S, mask):
    """The weights of the allowed keys, along the last axis.

    S     (..., Tq, Tk)  real scores of any size
    mask  (..., Tq, Tk)  bool, True = may attend

    Returns P, shaped like S: 0 where forbidden.
    """
    S = np.where(mask, S, -np.inf)
    top = S.max(axis=-1, keepdims=True)
    E = np.exp(S - np.where(top == -np.inf, 0.0, top).astype(S.dtype))
    Z = E.sum(axis=-1, keepdims=True)
    return E / np.where(Z == 0.0, 1.0, Z).astype(S.dtype)


def specification(S, mask):
    """Query by query, over the allowed keys only."""
    P = np.zeros_like(S)
    for query in np.ndindex(S.shape[:-1]):
        allowed = [j for j in range(S.shape[-1]) if mask[query][j]]
        if allowed:
            top = max(S[query][j] for j in allowed)
            total = sum(math.exp(S[query][j] - top) for j in allowed)
            for j in allowed:
                P[query][j] = math.exp(S[query][j] - top) / total
    return P


def cases(rng):
    one = np.array([[True, True, False]])
    stray = draw(rng, 3, 4)
    stray[:, -1] = np.nan, np.inf, -np.inf
    kept = draw_mask(rng, 3, 4)
    kept[:, -1] = False
    low = draw(rng, 2, 3)
    low[[0, 1], [2, 0]] = -3e38  # the lowest float32 is -3.4e38
    return {
        "one query, the last key forbidden": (draw(rng, 1, 3), one),
        "a query that may attend to nothing": (draw(rng, 3, 4), draw_mask(rng, 3, 4)),
        "scores near 1000": (draw(rng, 2, 3) + 1000.0, rng.permuted(one.repeat(2, 0), axis=-1)),
        "rows far apart": (
            draw(rng, 2, 3) + np.array([[-900.0], [900.0]]), np.full((2, 3), True)),
        "forbidden scores that are NaN and inf": (stray, kept),
        "forbidden scores far above the rest": (
            draw(rng, 3, 4) + np.array([0.0, 0.0, 0.0, 900.0]), kept,
        ),
        "allowed scores near -3e38": (low, low < -1e38),
        "every axis of another length": (draw(rng, 2, 3, 4, 5), draw_mask(rng, 2, 3, 4, 5)),
    }


HINTS = (
    "A forbidden key must drop out of the sum as well, so the mask has to be applied before the "
    "softmax, to the scores.",
    "exp(−inf) is exactly 0, so write −inf over the forbidden scores: `np.where(mask, S, "
    "-np.inf)`. What is the largest score of a row that allows nothing, and what is −inf − (−inf)?",
    "Subtract the row's maximum, but 0 where that is −inf; divide by the row's sum, but by 1 where "
    "that is 0.",
)

DERIVATION = r"""
**1.** A forbidden key shall have weight 0 and no part in the sum. $e^{-\infty} = 0$, so give it the
score $-\infty$ and use the ordinary softmax. Writing over the score, not adding to it or
multiplying it, also removes NaN and inf. A large negative number is no substitute: a row of nothing
but such numbers has the same weight for each forbidden key, and an allowed score may be lower yet.

**2.** Subtract the largest allowed score, so that no exponential exceeds 1.

**3.** A row that allows nothing has the maximum $-\infty$, and $-\infty - (-\infty)$ is NaN. There,
subtract 0: all exponentials are 0, and so is their sum. Divide by 1 in place of that 0: the weights
are 0.
"""


# np.where(mask, P, 0) and P * mask differ there
UNSETTLED = {"mask after": "forbidden scores that are NaN and inf"}

MISTAKES = {
    "polarity": (1, "(mask, S", "(~mask, S",
        "The mask was read the other way round: here True means that a query may attend."),
    "mask after": (
        1, [
            ("np.where(mask, S, -np.inf)", "S"),
            ("E / np.where(Z == 0.0, 1.0, Z).astype(S.dtype)", "np.where(mask, E / Z, 0.0)"),
        ],
        "The mask was applied after the softmax. The forbidden keys then still take part in the "
        "sum, and the weights that are left do not add up to 1.",
    ),
    "mask at the end": (
        2, [
            ("np.where(mask, S, -np.inf)", "S"),
            ("np.exp(S - np.where(top == -np.inf, 0.0, top).astype(S.dtype))",
             "np.where(mask, np.exp(S - top), 0.0)"),
        ],
        "The mask was applied to the exponentials, after a shift by the largest score of all keys. "
        "A forbidden score that is NaN, inf or much larger than the others then spoils the row.",
    ),
    "times mask after exp": (
        1, [("S - np.where(top", "X - np.where(top"),
            ("    S = np.where(mask, S, -np.inf)",
             "    X, S = S, np.where(mask, S, -float('inf'))"),
            ("    Z = ", "    E = E * mask\n    Z = ")],
        "What is forbidden was multiplied by 0, after exp. Where such a score is NaN or inf, or "
        "far above the rest, that is NaN: write over it with np.where, before exp."),
    "made up afterwards": (
        2, [
            ("np.where(mask, S, -np.inf)", "S"),
            ("np.exp(S - np.where(top == -np.inf, 0.0, top).astype(S.dtype))",
             "np.exp(S - top)\n    E = E / E.sum(axis=-1, keepdims=True) * mask"),
        ],
        "A softmax over all keys was multiplied by the mask and divided by what was left. A "
        "forbidden score that is NaN or inf spoils the row: 0 times NaN is NaN.",
    ),
    "scores times mask": (1, "np.where(mask, S, -np.inf)", "S * mask",
        "Forbidden scores were multiplied by 0. A score of 0 is a score like any other: e⁰ = 1."),
    "bias added": (1, "np.where(mask, S, -np.inf)", "S + np.where(mask, 0.0, -np.inf)",
        "−inf was added to the forbidden scores. Where such a score is NaN or inf the sum is NaN; "
        "write −inf over it: `np.where(mask, S, -np.inf)`."),
    "large number": (1, "S, -np.inf)", "S, -1e9)",
        "A large negative number stands for −inf. Where a query may attend to nothing, all its "
        "scores are then equal, and it attends to everything alike."),
    "large number, then mask": (
        1, [
            ("S, -np.inf)", "S, -1e9)"),
            ("E / np.where(Z == 0.0, 1.0, Z).astype(S.dtype)", "np.where(mask, E / Z, 0.0)"),
        ],
        "A large negative number stands for −inf, and the weights were masked once more. That "
        "helps a query that may attend to nothing, but allowed scores below that number are lost.",
    ),
    "lowest number": (1, "S, -np.inf)", "S, np.finfo(S.dtype).min)",
        "The lowest float stands for −inf. It lies below every score, but where a query may attend "
        "to nothing, all its scores are then equal, and it attends to everything alike."),
    "dead row": (
        3, [
            ("np.where(top == -np.inf, 0.0, top).astype(S.dtype)", "top"),
            ("np.where(Z == 0.0, 1.0, Z).astype(S.dtype)", "Z"),
        ],
        "A query that may attend to nothing gets NaN, from −inf − (−inf) or from 0/0. It needs "
        "weights 0.",
    ),
    "no shift": (2, " - np.where(top == -np.inf, 0.0, top).astype(S.dtype)", "",
        "The scores go into exp without their maximum subtracted, and large ones overflow."),
    "wrong axis": (3, [("S.max(axis=-1", "S.max(axis=-2"), ("E.sum(axis=-1", "E.sum(axis=-2")],
        "The softmax runs over the queries (axis −2); it belongs to the keys (axis −1)."),
    "largest of all": (
        2,
        "    S = np.where(mask, S, -np.inf)\n    top = S.max(axis=-1, keepdims=True)\n",
        "    top = np.where(np.isfinite(S), S, -np.inf).max(axis=-1, keepdims=True)\n    S = "
        "np.where(mask, S, -np.inf)\n",
        "The maximum was taken over the forbidden scores as well. One far above the rest lets "
        "all allowed exponentials underflow to 0.",
    ),
}
