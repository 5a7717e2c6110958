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


MISTAKES = {
    "no exponential": (1, "masked_softmax(S)", "S / S.sum(axis=-1, keepdims=True)",
        "The numbers were divided by their sum as they are. Negative ones give no weights: take "
        "exponentials first."),
    "absolute values": (1, "masked_softmax(S)", "np.abs(S) / np.abs(S).sum(axis=-1, keepdims=True)",
        "Absolute values were taken where the softmax has exponentials."),
    "columns": (2, "masked_softmax(S)", "masked_softmax(S.swapaxes(-1, -2)).swapaxes(-1, -2)",
        "The columns sum to 1; a query is a row, and its weights should."),
    "the whole table": (
        2, "masked_softmax(S)", "np.exp(S) / np.exp(S).sum(axis=(-2, -1), keepdims=True)",
        "The whole table sums to 1; each row should.",
    ),
    "one maximum": (2, "masked_softmax(S)", "np.exp(S) / np.exp(S).max(axis=-1, keepdims=True)",
        "Each row was divided by its largest exponential, not by its sum: nothing sums to 1."),
    "no keepdims": (2, "masked_softmax(S)", "np.exp(S) / np.exp(S).sum(axis=-1)",
        "The sum was taken without `keepdims=True`: in a square table the columns are then divided "
        "by the sums of the rows."),
    "base 2": (3, "np.log(P)", "np.log2(P)",
        "The entropy is in bits, by log2, but was then taken as a power of e."),
    "base 10": (3, "np.log(P)", "np.log10(P)",
        "log10 was used; exp undoes the natural logarithm, `np.log`."),
    "p left out": (3, "P * np.log(P)", "np.log(P)",
        "The logarithms were summed without their weights: −Σ p ln p."),
    "mean": (3, "(P)).sum(", "(P)).mean(",
        "A mean was taken over the keys; −Σ p ln p is a sum, the p are its weights."),
    "along the keys": (3, "axis=-1))", "axis=-2))",
        "The sum runs down the columns; each row has an entropy."),
    "minus left out": (3, "np.exp(-(P", "np.exp((P",
        "The minus is missing: ln p is negative, and the entropy is not."),
    "entropy": (4, "np.exp(-(P", "(-(P",
        "n is the entropy itself; the number of keys is e to its power."),
    "two to the power": (4, "np.exp(-(P", "np.exp2(-(P",
        "n is 2 to the power of an entropy by natural logarithms; use e."),
    "squares": (4, "np.exp(-(P * np.log(P)).sum(axis=-1))", "1.0 / (P * P).sum(axis=-1)",
        "n is 1/Σ p², which also counts keys, but in another way; e to the power of the entropy "
        "was asked for."),
}
