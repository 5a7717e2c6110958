r"""d2l 11.3.2, level 1: Softmax

Turn scores into weights. Each row of scores $s = (s_1, \dots, s_T)$ becomes

$$ p_j = \frac{e^{s_j}}{\sum_k e^{s_k}} , $$

positive numbers that sum to 1. The result must be right for scores of any size: $e^{1000}$ is more
than a float can hold, but the weights of the scores 1000 and 1001 are 0.2689… and 0.7311….

    S   (..., T)   scores; `...` stands for any number of leading axes, also none
    P   (..., T)   weights, each row of the last axis by itself
"""

import math

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"P": "key"}


def softmax(S):
    """The weights of the scores, along the last axis.

    S  (..., T)  real scores of any size

    Returns P, shaped like S.
    """
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    return E / E.sum(axis=-1, keepdims=True)


def specification(S):
    """Row by row, entry by entry."""
    P = np.zeros_like(S)
    for row in np.ndindex(S.shape[:-1]):
        top = max(S[row])
        total = sum(math.exp(s - top) for s in S[row])
        for j, s in enumerate(S[row]):
            P[row][j] = math.exp(s - top) / total
    return P


def cases(rng):
    return {
        "three scores": (draw(rng, 3),),
        "two queries, three keys": (draw(rng, 2, 3),),
        "scores near 1000": (draw(rng, 2, 3) + 1000.0,),
        "scores near -1000": (draw(rng, 2, 3) - 1000.0,),
        "scores far apart": (draw(rng, 2, 3) + np.array([-900.0, 0.0, 900.0]),),
        "rows of different height": (draw(rng, 3, 3) + np.array([[0.0], [-2000.0], [2000.0]]),),
        "every axis of another length": (draw(rng, 2, 3, 4, 5),),
    }


HINTS = (
    "Adding one number to all scores of a row changes nothing. Which number would you add so that "
    "no exponential can be too large?",
    "Subtract the largest score of each row. `keepdims=True` keeps the axis that max and sum would "
    "remove, so that the result still lines up with S.",
    "E = exp(S − max of each row), then divide E by the sum of each of its rows. Both along "
    "`axis=-1`.",
)

DERIVATION = r"""
**1.** Numerator and denominator may be multiplied by the same number, $e^{-c}$:

$$ \frac{e^{s_j}}{\sum_k e^{s_k}} = \frac{e^{s_j - c}}{\sum_k e^{s_k - c}} . $$

**2.** Choose $c = \max_k s_k$. Every exponent is then at most 0, so no exponential exceeds 1, and
one of them is exactly 1, so the sum is at least 1: neither overflow nor a division by 0.

**3.** A row is one query. Maximum and sum run along the last axis, over its keys, and keep that
axis, so that each row is divided by its own sum.
"""


MISTAKES = {
    "no shift": (2, "S - S.max(axis=-1, keepdims=True)", "S",
        "The scores go into exp as they are. Large ones overflow to inf, and inf/inf is NaN; very "
        "negative ones all underflow to 0, and 0/0 is NaN."),
    "one maximum for all": (2, "S.max(axis=-1, keepdims=True)", "S.max()",
        "One maximum was subtracted from the whole array. In a row that lies far below it all "
        "exponentials underflow to 0, and 0/0 is NaN: each row needs its own maximum."),
    "mean": (2, "S.max", "S.mean",
        "The mean of the row was subtracted, not its maximum: exp can still overflow."),
    "minimum": (2, "S.max", "S.min",
        "The smallest score was subtracted, not the largest: exp can still overflow."),
    "wrong axis": (
        3, [
            ("S.max(axis=-1", "S.max(axis=-2 if S.ndim > 1 else -1"),
            ("E.sum(axis=-1", "E.sum(axis=-2 if S.ndim > 1 else -1"),
        ],
        "The sum runs down the columns (axis −2) or the other way round: the weights of one key "
        "over all queries sum to 1, not those of one query over all keys.",
    ),
    "one sum for all": (
        3, [("S.max(axis=-1", "S.max(axis=None"), ("E.sum(axis=-1", "E.sum(axis=None")],
        "One sum was taken over the whole array; each row needs a sum of its own, `axis=-1`.",
    ),
    "no keepdims": (3, "E.sum(axis=-1, keepdims=True)", "E.sum(axis=-1)",
        "The sum was taken without `keepdims=True`. Where there are as many rows as columns, the "
        "columns are then divided by it; elsewhere it does not fit."),
    "not divided": (1, " / E.sum(axis=-1, keepdims=True)", "",
        "The exponentials were not divided by their sum."),
    "base 2": (1, "np.exp(", "np.exp2(", "The powers are powers of 2, not of e."),
    "minus": (1,
        "np.exp(S - S.max(axis=-1, keepdims=True))", "np.exp(S.min(axis=-1, keepdims=True) - S)",
        "The scores have the wrong sign: the smallest one gets the largest weight."),
}
