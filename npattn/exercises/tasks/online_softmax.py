r"""beyond d2l, level 3: A softmax whose scores come in portions

The sum under a softmax can be made without ever holding a whole row of scores. Keep the largest
score so far and the sum of exponentials relative to it,

$$ m = \max_j s_j, \qquad z = \sum_j e^{s_j - m} , $$

and bring both up to date when the next portion arrives.

    m   (...)      largest score so far, −∞ if there was none
    z   (...)      sum of exponentials so far, relative to m; 0 if there was none
    S   (..., B)   the next scores; −∞ for a key that may not be attended to

Return the new $m$ and $z$, both (...). Scores may be large. As long as no score is above −∞, $m$
stays −∞ and $z$ stays 0.
"""

import math

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"m": "row", "z": "row"}


def online_softmax(m, z, S):
    """Maximum and sum of exponentials after one more portion of scores.

    m  (...)     largest score so far
    z  (...)     sum of exponentials so far, relative to m
    S  (..., B)  the next scores

    Returns the new m and z, both (...).
    """
    top = np.maximum(m, S.max(axis=-1))
    shift = np.where(np.isneginf(top), 0.0, top)
    return top, z * np.exp(m - shift) + np.exp(S - shift[..., None]).sum(axis=-1)


def specification(m, z, S):
    """Row by row; each sum so far counts as z scores of the size m."""
    top, total = np.zeros_like(m), np.zeros_like(z)
    for row in np.ndindex(m.shape):
        top[row] = max(m[row], *S[row])
        if top[row] > -np.inf:
            terms = [math.exp(s - top[row]) for s in S[row]]
            total[row] = z[row] * math.exp(m[row] - top[row]) + math.fsum(terms)
    return top, total


def cases(rng):
    S = draw(rng, 2, 3)
    far = np.array([[900.0], [-900.0]])
    blocked = draw(rng, 3, 2)
    blocked[0], blocked[1], blocked[2, 0] = -np.inf, -np.inf, -np.inf
    nothing = np.array([-np.inf, 0.5, -np.inf])
    return {
        "the maximum rises": (np.array([0.5]), np.array([2.0]), S[:1] ** 2 + 1.0),
        "the maximum stays": (np.array([3.5, 4.0]), np.array([1.5, 2.0]), -(S**2)),
        "the first portion": (np.full(2, -np.inf), np.zeros(2), S),
        "large scores": (far[:, 0] + 1.0, np.array([1.25, 3.0]), draw(rng, 2, 3) + far),
        "keys that may not be attended to": (nothing, np.array([0.0, 1.5, 0.0]), blocked),
        "every axis of another length": (
            draw(rng, 2, 3), 1.0 + draw(rng, 2, 3) ** 2, draw(rng, 2, 3, 4),
        ),
    }


HINTS = (
    "The new maximum is easy. Then all exponentials, old and new, must be relative to it.",
    "The old sum is relative to the old m: multiply it by exp(m_old − m_new), which is at most 1.",
    "m_new = max(m, max of S); z_new = z exp(m − m_new) + Σ exp(S − m_new). Where m_new is −∞, "
    "subtract 0 in place of it.",
)

DERIVATION = r"""
**1.** The largest of all scores is the larger of the largest so far and the largest of the portion:
$m' = \max(m, \max_j s_j)$.

**2.** The old sum is relative to the old maximum. To bring it to the new one,

$$ \sum_{\text{old}} e^{s_j - m'} = e^{m - m'} \sum_{\text{old}} e^{s_j - m} = e^{m - m'} z . $$

The factor is at most 1: it is 1 where the maximum stayed.

**3.** The new scores are taken relative to $m'$ right away:

$$ z' = e^{m - m'} z + \sum_j e^{s_j - m'} . $$

Every exponent is at most 0, so nothing overflows, whatever the scores are.

**4.** At the start $m = -\infty$, and $e^{-\infty - m'} = 0$ removes the empty sum. But where $m'$
is still $-\infty$, $-\infty - (-\infty)$ is NaN: subtract 0 there, and all exponentials are 0.
"""


MISTAKES = {
    "not rescaled": (2, " * np.exp(m - shift)", "",
        "The old sum was added as it is. It is relative to the old maximum and must be multiplied "
        "by exp(m_old − m_new)."),
    "upside down": (2, "m - shift", "shift - m",
        "The old sum was multiplied by exp(m_new − m_old); the exponent has the wrong sign."),
    "all rescaled": (
        3, [
            ("z * np.exp(m - shift) +", "(z +"),
            (".sum(axis=-1)", ".sum(axis=-1)) * np.exp(m - shift)"),
        ],
        "The new exponentials were rescaled as well. They are already relative to the new maximum; "
        "only the old sum needs the factor.",
    ),
    "own maximum": (
        3, "S - shift[", "S - np.where(np.isneginf(S.max(axis=-1)), 0.0, S.max(axis=-1))[",
        "The new exponentials are relative to the portion's own maximum. Where the old one is "
        "larger, they must be relative to that.",
    ),
    "old maximum": (3, "S - shift[", "S - np.where(np.isneginf(m), 0.0, m)[",
        "The new exponentials are relative to the old maximum, not the new one."),
    "no shift": (3, "S - shift[..., None]", "S",
        "No maximum was subtracted from the new scores: large ones overflow."),
    "maximum of the portion": (1, "np.maximum(m, S.max(axis=-1))", "S.max(axis=-1)",
        "The new maximum is that of the portion alone: the maximum so far was forgotten."),
    "nothing yet": (4, "np.where(np.isneginf(top), 0.0, top)", "top",
        "As long as no score is above −∞, the result is NaN, from −∞ − (−∞). z should stay 0."),
}
