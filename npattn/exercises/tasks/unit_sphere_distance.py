r"""d2l 11.2.5, level 2: Distances on the unit sphere

Put queries and keys on the unit sphere, $\hat q = q / \|q\|$ and $\hat k = k / \|k\|$. Then the
squared distance in the Gaussian kernel needs no differences: one matrix product is enough. Find
the squared distances and the weights,

$$ d_{ij} = \|\hat q_i - \hat k_j\|^2, \qquad
   p_{ij} = \frac{e^{-d_{ij} / (2\sigma^2)}}{\sum_l e^{-d_{il} / (2\sigma^2)}} . $$

Exercise 3 of d2l 11.2 (Chinese edition: section 10.2).

    Q       (..., Tq, W)    queries of any length
    K       (..., Tk, W)    keys of any length
    sigma   number          the width of the kernel
    D       (..., Tq, Tk)   squared distances on the sphere
    P       (..., Tq, Tk)   weights

No query and no key is 0.
"""

import math

import numpy as np

from npattn.exercises.drawing import draw
from npattn.exercises.given import masked_softmax

ANSWER = {"D": "query key", "P": "query key"}


def unit_sphere_distance(Q, K, sigma):
    """Squared distances of directions, and the weights of a Gaussian kernel of them.

    Q      (..., Tq, W)  queries
    K      (..., Tk, W)  keys
    sigma  number        width of the kernel

    Returns D and P, both (..., Tq, Tk).
    """
    Q = Q / np.sqrt((Q * Q).sum(axis=-1, keepdims=True))
    K = K / np.sqrt((K * K).sum(axis=-1, keepdims=True))
    cosine = Q @ K.swapaxes(-1, -2)
    return 2.0 - 2.0 * cosine, masked_softmax(cosine / sigma**2)


def specification(Q, K, sigma):
    """Pair by pair, by differences."""
    leading, Tq, Tk = Q.shape[:-2], Q.shape[-2], K.shape[-2]
    D = np.zeros((*leading, Tq, Tk))
    P = np.zeros_like(D)
    for b in np.ndindex(leading):
        for i in range(Tq):
            q = Q[b][i] / math.sqrt(sum(a * a for a in Q[b][i]))
            for j in range(Tk):
                k = K[b][j] / math.sqrt(sum(a * a for a in K[b][j]))
                D[b][i, j] = sum((a - c) ** 2 for a, c in zip(q, k, strict=True))
            nearest = min(D[b][i])
            powers = [math.exp((nearest - d) / (2.0 * sigma**2)) for d in D[b][i]]
            P[b][i] = np.array(powers) / sum(powers)
    return D, P


def cases(rng):
    def apart(*sizes):
        """Arrays of these sizes in which no query has nearly the direction of a key."""
        while True:
            Q, K = (draw(rng, *size) for size in sizes)
            if unit_sphere_distance(Q, K, 1.0)[0].min() > 0.1:
                return Q, K

    X, _ = apart((3, 4), (3, 4))
    return {
        "one query, two keys in the plane": (*apart((1, 2), (2, 2)), 0.75),
        "every length different": (*apart((2, 3), (4, 3)), 1.5),
        "everything of one length": (*apart((3, 3), (3, 3)), 0.5),
        "the queries are the keys": (X, X, 1.25),
        "a batch": (*apart((2, 3, 5), (2, 4, 5)), 0.625),
        "a narrow kernel: large scores, in float64": (*apart((2, 3), (4, 3)), 0.015),
    }


HINTS = (
    "Multiply out ‖q̂ − k̂‖². Two of the three terms are known on the sphere.",
    "‖q̂ − k̂‖² = 2 − 2 q̂ · k̂. In the exponent the constant is the same for all keys: what does "
    "the softmax make of it?",
    "With C = Q̂ K̂ᵀ: D = 2 − 2 C and P = softmax(C/σ²).",
)

DERIVATION = r"""
**1.** Each row is divided by its own length, $\hat q = q / \sqrt{\sum_c q_c^2}$, and so is each
key.

**2.** Multiplied out,

$$ \|\hat q - \hat k\|^2 = \|\hat q\|^2 + \|\hat k\|^2 - 2\, \hat q \cdot \hat k
   = 2 - 2\, \hat q \cdot \hat k , $$

between 0 for the same direction and 4 for opposite ones.

**3.** The exponent is $-d / (2\sigma^2) = \hat q \cdot \hat k / \sigma^2 - 1/\sigma^2$: the 2 of
the product meets the 2 of the kernel.

**4.** The constant is the same for all keys and cancels in the softmax, which runs over the keys:

$$ P = \operatorname{softmax}\bigl( \hat Q \hat K^\top / \sigma^2 \bigr) . $$

So on the sphere the Gaussian kernel is dot-product attention with the scale $1/\sigma^2$; it is
exact, no approximation. (Where two directions almost agree, $2 - 2\,\hat q \cdot \hat k$ has lost
digits that the difference still has.)
"""


MISTAKES = {
    "not normalised": (
        1, [
            (" / np.sqrt((Q * Q).sum(axis=-1, keepdims=True))", ""),
            (" / np.sqrt((K * K).sum(axis=-1, keepdims=True))", ""),
        ],
        "Queries and keys were not divided by their lengths.",
    ),
    "distances before the sphere": (
        1,
        "    Q = Q /",
        "    D = ((Q[..., :, None, :] - K[..., None, :, :]) ** 2).sum(axis=-1)\n"
        "    return D, masked_softmax(-D / (2.0 * sigma**2))\n    Q = Q /",
        "These are the distances of Q and K as they came; bring both to the sphere first.",
    ),
    "only queries normalised": (1, " / np.sqrt((K * K).sum(axis=-1, keepdims=True))", "",
        "The keys were not divided by their lengths."),
    "only queries normalised, then differences": (
        1, [
            (" / np.sqrt((K * K).sum(axis=-1, keepdims=True))", ""),
            ("cosine = Q @ K.swapaxes(-1, -2)",
             "cosine = 1.0 - ((Q[..., :, None, :] - K[..., None, :, :]) ** 2).sum(axis=-1) / 2.0"),
        ],
        "The keys were not divided by their lengths; the distances are those of q̂ and k.",
    ),
    "columns normalised": (
        1, [
            ("(Q * Q).sum(axis=-1", "(Q * Q).sum(axis=-2"),
            ("(K * K).sum(axis=-1", "(K * K).sum(axis=-2"),
        ],
        "The lengths were taken down the columns, axis −2; each query is a row, axis −1.",
    ),
    "root left out": (1, [("np.sqrt((Q", "((Q"), ("np.sqrt((K", "((K")],
        "The rows were divided by their squared lengths: the square root is missing."),
    "cosine distance": (2, "2.0 - 2.0 * cosine", "1.0 - cosine",
        "D is 1 − q̂·k̂, which some call cosine distance; the squared distance is twice that."),
    "plus": (2, "2.0 - 2.0 *", "2.0 + 2.0 *",
        "D is 2 + 2 q̂·k̂, the squared length of the sum; the difference brings a minus."),
    "root of the distance": (
        2, "2.0 - 2.0 * cosine,", "np.sqrt(np.maximum(2.0 - 2.0 * cosine, 0.0)),",
        "D is the distance; its square was asked for.",
    ),
    "2 not cancelled": (3, "cosine / sigma**2", "cosine / (2.0 * sigma**2)",
        "The scores are q̂·k̂/(2σ²). The product comes with a factor 2, which cancels the ½."),
    "2 of the kernel left out": (3, "(cosine /", "(2.0 * cosine /",
        "The scores are 2 q̂·k̂/σ²: the 2 in 2σ² was lost, which cancels the other."),
    "sigma not squared": (3, "sigma**2", "sigma", "The scores were divided by σ; it should be σ²."),
    "far keys preferred": (3, "(cosine /", "(-cosine /",
        "The sign of the scores is wrong: a large product is a small distance, and weighs more."),
    "scaled by the width": (3, "sigma**2)", "sigma**2 / Q.shape[-1] ** 0.5)",
        "The scores have a factor 1/√W, as in scaled attention. Here σ alone sets the scale."),
    "over the queries": (
        4,
        "masked_softmax(cosine / sigma**2)",
        "masked_softmax(cosine.swapaxes(-1, -2) / sigma**2).swapaxes(-1, -2)",
        "The softmax runs over the queries; each query's weights sum to 1.",
    ),
    "not divided": (4, "masked_softmax(", "np.exp(",
        "The exponentials were not divided by their sum over the keys."),
    "distance in the exponent": (
        3,
        "masked_softmax(cosine / sigma**2)",
        "masked_softmax(-np.sqrt(np.maximum(2.0 - 2.0 * cosine, 0.0)) / (2.0 * sigma**2))",
        "The distance itself stands in the exponent; its square belongs there.",
    ),
    "columns normalised, then differences": (
        1,
        [
            ("(Q * Q).sum(axis=-1",
             "(Q * Q).sum(axis=-2"),
            ("(K * K).sum(axis=-1",
             "(K * K).sum(axis=-2"),
            ("    return 2.0 - 2.0 * cosine, masked_softmax(cosine / sigma**2)",
             "    D = ((Q[..., :, None, :] - K[..., None, :, :]) ** 2).sum(axis=-1)\n    "
             "return D, masked_softmax(-D / (2.0 * sigma**2))"),
        ],
        "The lengths were taken down the columns, axis −2, and distances by differences; each "
        "query is a row, axis −1.",
    ),
}
