r"""beyond d2l, level 2: A softmax with a sink

A softmax must give all its weight away, also where no key is of interest. With a sink it need not:
a learned number $b$ stands beside the scores of each row and takes its share, but no value belongs
to it:

$$ p_j = \frac{e^{s_j}}{e^{b} + \sum_k e^{s_k}} . $$

    S   (..., T)   scores; `...` stands for any leading axes, also none
    b   number     the sink
    P   (..., T)   weights; each row sums to less than 1

Scores and sink may be large.
"""

import math

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"P": "key"}


def sink_softmax(S, b):
    """The weights that the sink leaves.

    S  (..., T)  scores
    b  a float   the sink

    Returns P, shaped like S.
    """
    top = np.maximum(S.max(axis=-1, keepdims=True), S.dtype.type(b))
    E = np.exp(S - top)
    return E / (E.sum(axis=-1, keepdims=True) + np.exp(b - top))


def specification(S, b):
    """Row by row: the sink is one score more, whose weight is dropped."""
    P = np.zeros_like(S)
    for row in np.ndindex(S.shape[:-1]):
        top = max(b, *S[row])
        total = math.exp(b - top) + math.fsum(math.exp(s - top) for s in S[row])
        for j in range(S.shape[-1]):
            P[row][j] = math.exp(S[row][j] - top) / total
    return P


def cases(rng):
    return {
        "three scores": (draw(rng, 3), 0.5),
        "two rows": (draw(rng, 2, 3), -1.25),
        "as many rows as columns": (draw(rng, 3, 3), 1.5),
        "large scores, in float64": (1000.0 + draw(rng, 2, 3), 999.5),
        "a large sink, in float64": (draw(rng, 2, 3), 1000.0),
        "rows far apart, in float64": (
            draw(rng, 2, 3) + np.array([[-900.0], [900.0]]), -901.0),
        "scores far apart": (draw(rng, 2, 3) + np.array([-900.0, 0.0, 900.0]), 0.5),
        "scores near -1000": (-1000.0 + draw(rng, 2, 3), -1000.5),
        "every axis of another length": (draw(rng, 2, 3, 4), 0.25),
    }


HINTS = (
    "It is a softmax over T + 1 scores of which one weight is thrown away.",
    "Subtract the largest of scores and sink from both, before exp.",
    "top = max(max of the row, b); E = exp(S − top); P = E/(ΣE + exp(b − top)).",
)

DERIVATION = r"""
**1.** The sink is one more score in each row, with the same $b$ everywhere; its exponential is part
of the sum, $z = e^{b} + \sum_k e^{s_k}$.

**2.** A shift of all scores and the sink by the same number changes nothing. With the largest of
them, $t = \max(b, \max_k s_k)$, no exponential is larger than 1:

$$ p_j = \frac{e^{s_j - t}}{e^{b - t} + \sum_k e^{s_k - t}} . $$

**3.** The sink has no value, so its weight is dropped, and what is left sums to
$1 - e^{b} / z < 1$.
"""


MISTAKES = {
    "no sink": (
        1, [("np.maximum(S.max(axis=-1, keepdims=True), S.dtype.type(b))",
             "S.max(axis=-1, keepdims=True)"), (" + np.exp(b - top)", "")],
        "The sink is missing, or was divided away again: the rows sum to 1."),
    "sink not shifted": (2, "np.exp(b - top)", "np.exp(b)",
        "The sink's exponential was not shifted by the maximum, as those of the scores were."),
    "sink beside the scores' maximum": (
        2, [("np.maximum(S.max(axis=-1, keepdims=True), S.dtype.type(b))",
             "S.max(axis=-1, keepdims=True)"), ("np.exp(b - top)", "np.exp(b)")],
        "The scores were shifted by their maximum and the sink was not: exp(b) belongs to a sum of "
        "exp(s), not of exp(s − max). Both need the same shift."),
    "sink as a number beside the scores' maximum": (
        1, [("np.maximum(S.max(axis=-1, keepdims=True), S.dtype.type(b))",
             "S.max(axis=-1, keepdims=True)"), ("np.exp(b - top)", "b")],
        "b itself was added to the sum of the shifted exponentials; the sink is a score, and "
        "e^(b − max) belongs there."),
    "no shift": (2, "np.maximum(S.max(axis=-1, keepdims=True), S.dtype.type(b))", "S.dtype.type(0)",
        "No maximum was subtracted: large scores overflow in exp."),
    "sink as a number": (1, "np.exp(b - top)", "b * np.exp(-top)",
        "b itself was added to the sum; the sink is a score, and e^b belongs there."),
    "off by one": (1, "np.exp(b - top)", "np.exp(-top)",
        "1 was added to the sum, as if the sink were 0; it is b."),
    "subtracted": (1, "True) + np.exp(b", "True) - np.exp(b",
        "The sink's exponential was subtracted from the sum; it takes its share, so add it."),
    "sink in every score": (1, "np.exp(b - top)", "S.shape[-1] * np.exp(b - top)",
        "There is a sink for each key; there is one for each row."),
    "not divided": (1, "E / (E.sum(axis=-1, keepdims=True) + np.exp(b - top))", "E",
        "The exponentials were not divided by their sum."),
    "one sum for all": (1, "E.sum(axis=-1, keepdims=True)", "E.sum()",
        "One sum was taken over the whole array; each row has its own."),
}
