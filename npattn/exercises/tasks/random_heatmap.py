r"""d2l 10.1.5, level 1: A random heatmap

Make weights from random numbers: each row of a square table becomes a valid distribution by a
softmax. How sharp does attention look that has learned nothing? Measure it: with the entropy
$h_i = -\sum_j p_{ij} \ln p_{ij}$ of row $i$, the number

$$ n_i = e^{h_i} $$

says how many keys query $i$ attends to: 1 if one key takes all, $T$ if all weigh the same. Return
weights and numbers of keys. Exercise 2 of d2l 10.1 (Chinese edition; in the English one, 11.1).

    S   (..., T, T)   random numbers near 0
    P   (..., T, T)   weights; each row sums to 1
    n   (..., T)      how many keys each query attends to

To see it: `show_heatmaps(P[None, None], xlabel="Keys", ylabel="Queries")`.
"""

import math

import numpy as np

from npattn.exercises.drawing import draw
from npattn.exercises.given import masked_softmax

ANSWER = {"P": "query key", "n": "query"}
EXCLUDED = {"large": "random numbers near 0"}


def random_heatmap(S):
    """Weights, and how many keys each query attends to.

    S  (..., T, T)  random numbers of moderate size

    Returns P (..., T, T) and n (..., T).
    """
    P = masked_softmax(S)
    return P, np.exp(-(P * np.log(P)).sum(axis=-1))


def specification(S):
    """Row by row, entry by entry."""
    P, n = np.zeros_like(S), np.zeros(S.shape[:-1])
    for row in np.ndindex(S.shape[:-1]):
        powers = [math.exp(s) for s in S[row]]
        entropy = 0.0
        for j, power in enumerate(powers):
            P[row][j] = power / sum(powers)
            entropy -= P[row][j] * math.log(P[row][j])
        n[row] = math.exp(entropy)
    return P, n


def cases(rng):
    return {
        "two by two": (draw(rng, 2, 2),),
        "ten by ten": (draw(rng, 10, 10),),
        "nothing prefers anything": (np.full((3, 3), 0.5),),
        "sharper, three by three": (4.0 * draw(rng, 3, 3),),
        "two heads": (draw(rng, 2, 4, 4),),
    }


HINTS = (
    "A table of positive numbers whose rows sum to 1: exponentials, divided by their sum along the "
    "row. Along which axis does a row run?",
    "`np.exp(S)` and `.sum(axis=-1, keepdims=True)`. The entropy is one number per row as well: "
    "−Σ p ln p along the same axis, with the natural logarithm.",
    "P = E/E.sum(axis=-1, keepdims=True) with E = exp(S); n = exp(−(P · ln P).sum(axis=-1)).",
)

DERIVATION = r"""
**1.** Random numbers may be negative; their exponentials are positive.

**2.** Queries are rows, keys are columns. Each query shares out a weight of 1, so each *row* is
divided by its sum, along the last axis. Columns need not sum to 1: some keys are liked more.

**3.** The entropy of a row is $h_i = -\sum_j p_{ij} \ln p_{ij}$, with the logarithm to the base
that is then exponentiated. If $n$ keys share the weight evenly, $h = -n \cdot \frac1n \ln \frac1n =
\ln n$.

**4.** So $e^h$ counts keys. For ten scores drawn from a normal distribution it is about 7: what
has learned nothing looks undecided, but not even. A heatmap that shows a few dark cells in each row
shows nothing yet.
"""


def mistaken(made, S):
    axis = -2 if "columns" in made else (-2, -1) if "the whole table" in made else -1
    E = S if "no exponential" in made else np.exp(S)
    if "absolute values" in made:
        E = np.abs(S)
    keep = "no keepdims" not in made
    P = E / E.sum(axis=axis, keepdims=keep)
    if "one maximum" in made:
        P = E / E.max(axis=-1, keepdims=True)
    log = np.log2 if "base 2" in made else np.log10 if "base 10" in made else np.log
    entropy = -(P * log(P))
    if "p left out" in made:
        entropy = -log(P)
    entropy = entropy.mean(axis=-1) if "mean" in made else entropy.sum(axis=-1)
    if "along the keys" in made:
        entropy = -(P * log(P)).sum(axis=-2)
    if "minus left out" in made:
        entropy = -entropy
    if "entropy" in made:
        return P, entropy
    if "two to the power" in made:
        return P, 2.0**entropy
    return P, 1.0 / (P * P).sum(axis=-1) if "squares" in made else np.exp(entropy)


MISTAKES = {
    "no exponential": (
        1, "The numbers were divided by their sum as they are. Negative ones give no weights: take "
        "exponentials first.",
    ),
    "absolute values": (1, "Absolute values were taken where the softmax has exponentials."),
    "columns": (2, "The columns sum to 1; a query is a row, and its weights should."),
    "the whole table": (2, "The whole table sums to 1; each row should."),
    "one maximum": (
        2, "Each row was divided by its largest exponential, not by its sum: nothing sums to 1.",
    ),
    "no keepdims": (
        2,
        "The sum was taken without `keepdims=True`: in a square table the columns are then divided "
        "by the sums of the rows.",
    ),
    "base 2": (3, "The entropy is in bits, by log2, but was then taken as a power of e."),
    "base 10": (3, "log10 was used; exp undoes the natural logarithm, `np.log`."),
    "p left out": (3, "The logarithms were summed without their weights: −Σ p ln p."),
    "mean": (3, "A mean was taken over the keys; −Σ p ln p is a sum, the p are its weights."),
    "along the keys": (3, "The sum runs down the columns; each row has an entropy."),
    "minus left out": (3, "The minus is missing: ln p is negative, and the entropy is not."),
    "entropy": (4, "n is the entropy itself; the number of keys is e to its power."),
    "two to the power": (4, "n is 2 to the power of an entropy by natural logarithms; use e."),
    "squares": (
        4,
        "n is 1/Σ p², which also counts keys, but in another way; e to the power of the entropy "
        "was asked for.",
    ),
}
