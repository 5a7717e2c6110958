r"""beyond d2l, level 3: Two halves of an attention

The keys were split in two parts (two machines, say, or a cache and what is new), and each part has
already been attended to by itself, with its own softmax. Each returns its output and the log of the
sum under its softmax:

$$ L = \log \sum_j e^{s_j}, \qquad O = \sum_j e^{s_j - L}\, v_j . $$

Put the two together as if all keys had been in one place.

    O1, O2   (..., Tq, Dv)   outputs, each a weighted average of its own values
    L1, L2   (..., Tq)       log-sum-exp of the scores; −∞ if the query may attend to no key there

Return $O$ and $L$ over all keys. The $L$ may be large. If the query may attend to no key of either
part, $O = 0$ and $L = -\infty$.
"""

import math

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"O": "query dim", "L": "query"}


def merge_partials(O1, L1, O2, L2):
    """Attention over all keys from attention over two parts of them.

    O1, O2  (..., Tq, Dv)  outputs of the parts
    L1, L2  (..., Tq)      log-sum-exp of the parts

    Returns O (..., Tq, Dv) and L (..., Tq).
    """
    top = np.maximum(L1, L2)
    top = np.where(np.isneginf(top), 0.0, top)
    w1, w2 = np.exp(L1 - top), np.exp(L2 - top)
    total = w1 + w2
    mean = w1[..., None] * O1 + w2[..., None] * O2
    O = mean / np.where(total == 0.0, 1.0, total)[..., None]
    return O, top + np.log(total)


def specification(O1, L1, O2, L2):
    """Query by query: each part weighs as much as the sum of its exponentials."""
    O, L = np.zeros_like(O1), np.full_like(L1, -np.inf)
    for query in np.ndindex(L1.shape):
        top = max(L1[query], L2[query])
        if top > -np.inf:
            w1, w2 = math.exp(L1[query] - top), math.exp(L2[query] - top)
            L[query] = top + math.log(w1 + w2)
            for c in range(O1.shape[-1]):
                O[query][c] = (w1 * O1[query][c] + w2 * O2[query][c]) / (w1 + w2)
    return O, L


def cases(rng):
    def parts(*shape):
        Tq = shape[:-1]
        return [draw(rng, *shape), draw(rng, *Tq), draw(rng, *shape), draw(rng, *Tq)]

    O1, L1, O2, L2 = parts(4, 2)
    for O, L, dead in ((O1, L1, [0, 3]), (O2, L2, [1, 3])):
        O[dead], L[dead] = 0.0, -np.inf
    far = parts(3, 2)
    far[1] += np.array([900.0, -900.0, -900.0])  # so far apart that one part is all that counts
    far[3] += np.array([-900.0, -950.0, 900.0])
    none = parts(2, 3)
    none[1][0], none[3][1] = -np.inf, -np.inf
    none[1][1] += 900.0
    none[3][0] += 900.0
    return {
        "one query": tuple(parts(1, 2)),
        "two queries": tuple(parts(2, 3)),
        "queries without a key in one part, or in both": (O1, L1, O2, L2),
        "no key in one part, large sums in the other": tuple(none),
        "large sums, and very small ones": tuple(far),
        "every axis of another length": tuple(parts(2, 3, 4)),
    }


HINTS = (
    "exp(L) is the sum under a softmax. Over all keys, the sum is exp(L₁) + exp(L₂); what is L?",
    "O is an average of O₁ and O₂, weighted by their shares in that sum: exp(L₁ − L) and exp(L₂ − "
    "L).",
    "Subtract top = max(L₁, L₂), or 0 where that is −∞: w = exp(L − top) for each part; O = (w₁ O₁ "
    "+ w₂ O₂)/(w₁ + w₂), with 1 for a sum of 0, and L = top + log(w₁ + w₂).",
)

DERIVATION = r"""
**1.** The parts have no key in common, so the sums of exponentials add:
$e^L = e^{L_1} + e^{L_2}$, hence $L = \log(e^{L_1} + e^{L_2})$.

**2.** $O_1$ is relative to its own sum: $e^{L_1} O_1 = \sum_{j \in 1} e^{s_j} v_j$. Over all keys,

$$ O = e^{-L} \sum_j e^{s_j} v_j = e^{L_1 - L}\, O_1 + e^{L_2 - L}\, O_2 . $$

The two weights sum to 1: a part counts by its share of the sum, not by how many keys it has, and
two halves are not simply averaged.

**3.** $L$ may be large, and $e^L$ overflow. With $t = \max(L_1, L_2)$ and $w_i = e^{L_i - t} \le
1$,

$$ L = t + \log(w_1 + w_2), \qquad O = \frac{w_1 O_1 + w_2 O_2}{w_1 + w_2} . $$

**4.** A part without a key has $L_i = -\infty$ and $w_i = 0$: it changes nothing. If both are so,
then $t = -\infty$, and $-\infty - (-\infty)$ is NaN; take $t = 0$ there, divide by 1, and $O = 0$,
$L = \log 0 = -\infty$.
"""


MISTAKES = {
    "plain mean": (2, "return O", "return (O1 + O2) / 2.0",
        "The outputs were averaged as if both parts weighed the same. A part weighs exp(L₁ − L), "
        "its share of the sum under the softmax."),
    "plain sum": (2, "return O", "return O1 + O2",
        "The outputs were added. Each is already an average; together they need weights that sum "
        "to 1."),
    "L as weights": (
        2, "return O", "return (L1[..., None] * O1 + L2[..., None] * O2) / (L1 + L2)[..., None]",
        "The outputs are weighted by L₁ and L₂ themselves; the weights are exp(L).",
    ),
    "weights exchanged": (2, [("mean = w1[", "mean = w2["), ("+ w2[", "+ w1[")],
        "Each output has the weight of the other part."),
    "not divided": (3, "return O", "return mean",
        "The weighted outputs were not divided by the sum of their weights, w₁ + w₂."),
    "L added": (1, "top + np.log(total)", "L1 + L2",
        "L₁ and L₂ were added. Their exponentials add: L = log(exp L₁ + exp L₂)."),
    "larger L": (1, "top + np.log(total)", "np.maximum(L1, L2)",
        "The larger of L₁ and L₂ was returned; the sum of exponentials is larger still."),
    "mean of L": (1, "top + np.log(total)", "(L1 + L2) / 2.0",
        "L is the mean of L₁ and L₂; it should be log(exp L₁ + exp L₂)."),
    "maximum lost": (3, "top + np.log", "np.log",
        "L is relative to the maximum that was subtracted, which must be added back."),
    "overflow": (3, "np.where(np.isneginf(top), 0.0, top)", "np.zeros_like(top)",
        "exp(L) was made without subtracting the larger L: it overflows, or is 0."),
    "minimum": (3, "np.maximum", "np.minimum",
        "The smaller L was subtracted, not the larger: the other may overflow."),
    "0/0": (4, "np.where(total == 0.0, 1.0, total)", "total",
        "A query without a key in either part gets the output 0/0, NaN. Divide by 1 where the sum "
        "of the weights is 0."),
    "no key": (
        4, [
            ("np.where(np.isneginf(top), 0.0, top)", "top"),
            ("np.where(total == 0.0, 1.0, total)", "total"),
        ],
        "A query without a key in either part gets NaN, from −∞ − (−∞) or from 0/0. Its output is "
        "0.",
    ),
}
