r"""d2l 10.3.5, level 2: Change the keys

In the text's example all keys are equal, and additive and scaled dot-product attention return the
very same weights. Do they still once the keys are changed? Compute both, and see:

$$ s^{a}_{ij} = w \cdot \tanh(q_i W_q + k_j W_k), \qquad
   s^{d}_{ij} = \frac{(q_i W) \cdot k_j}{\sqrt{D_k}}, $$

each followed by a softmax over the first valid_len keys of its sequence. (The matrix $W$ brings the
queries to the width of the keys.) Exercise 1 of d2l 10.3 (Chinese edition; in the English one,
11.3).

    Q            (B, Tq, Dq)    queries
    K            (B, Tk, Dk)    keys
    Wq           (Dq, H)        weights of the additive score
    Wk           (Dk, H)
    w            (H,)
    W            (Dq, Dk)       matrix of the dot-product score
    valid_lens   (B,) int       keys that are real, at least 1
    Pa           (B, Tq, Tk)    weights by the additive score, exactly 0 on padding
    Pd           (B, Tq, Tk)    weights by scaled dot product, likewise
"""

import math

import numpy as np

from npattn.exercises.drawing import draw
from npattn.exercises.given import masked_softmax

ANSWER = {"Pa": "query key", "Pd": "query key"}


def changed_keys(Q, K, Wq, Wk, w, W, valid_lens):
    """The weights by two scores.

    Q, K        (B, Tq, Dq), (B, Tk, Dk)  queries and keys
    Wq, Wk, w   (Dq, H), (Dk, H), (H,)    additive score
    W           (Dq, Dk)                  dot-product score
    valid_lens  (B,) int                  real keys

    Returns Pa and Pd, both (B, Tq, Tk).
    """
    mask = (np.arange(K.shape[1]) < valid_lens[:, None])[:, None]
    additive = np.tanh((Q @ Wq)[:, :, None] + (K @ Wk)[:, None]) @ w
    dot = Q @ W @ K.swapaxes(-1, -2) / math.sqrt(K.shape[-1])
    return masked_softmax(additive, mask), masked_softmax(dot, mask)


def specification(Q, K, Wq, Wk, w, W, valid_lens):
    """Query by query, over the real keys."""
    B, Tq, Tk = len(Q), Q.shape[1], K.shape[1]
    Pa, Pd = np.zeros((B, Tq, Tk)), np.zeros((B, Tq, Tk))
    for b in range(B):
        keys = K[b, : valid_lens[b]]
        for i, q in enumerate(Q[b]):
            additive = [sum(w * np.tanh(q @ Wq + k @ Wk)) for k in keys]
            dot = [(q @ W) @ k / math.sqrt(K.shape[-1]) for k in keys]
            for P, scores in ((Pa, additive), (Pd, dot)):
                powers = [math.exp(s - max(scores)) for s in scores]
                P[b, i, : len(keys)] = np.array(powers) / sum(powers)
    return Pa, Pd


def cases(rng):
    def inputs(B, Tq, Tk, Dq, Dk, H, *lens):
        sizes = (Dq, H), (Dk, H), (H,), (Dq, Dk)
        parameters = (draw(rng, *size) for size in sizes)
        return draw(rng, B, Tq, Dq), draw(rng, B, Tk, Dk), *parameters, np.array(lens)

    Q, K, *rest = inputs(2, 1, 4, 3, 2, 5, 2, 3)
    many = inputs(2, 3, 4, 2, 3, 5, 3, 2)
    padding = np.arange(4)[:, None] >= many[-1][:, None, None]
    return {
        "one query, three keys": inputs(1, 1, 3, 1, 1, 2, 2),
        "all keys equal, as in the text": (Q, np.ones_like(K), *rest),
        "keys changed": (Q, K, *rest),
        "every length different": inputs(2, 3, 4, 1, 5, 6, 4, 1),
        "everything of one length": inputs(3, 3, 3, 3, 3, 3, 1, 3, 2),
        "one key": inputs(2, 2, 1, 3, 2, 4, 1, 1),
        "large scores, in float64": (256.0 * many[0], 256.0 * many[1], *many[2:]),
        "padding that is large": (many[0], np.where(padding, 1024.0, many[1]), *many[2:]),
    }


HINTS = (
    "If all keys of a sequence are equal, every score of a query is the same number, whichever way "
    "it was computed. What does the softmax make of equal scores?",
    "Both scores are tables (B, Tq, Tk). For the additive one each query must meet each key: give "
    "Q Wq an axis for the keys and K Wk an axis for the queries.",
    "additive = tanh((Q @ Wq)[:, :, None] + (K @ Wk)[:, None]) @ w; dot = Q @ W @ Kᵀ/√Dk; both "
    "with −inf from valid_len on, then softmax over the keys.",
)

DERIVATION = r"""
**1.** If all keys are equal, $s_{ij}$ does not depend on $j$, and the softmax makes
$1/\text{valid\_len}$ of it: the same weights for every score there is, learned or not. The values
then decide alone.

**2.** Additive: $q_i W_q$ and $k_j W_k$ are added for each pair, (B, Tq, Tk, H), then tanh, then
the product with $w$ takes the last axis away.

**3.** Dot product: the query is brought to the width of the keys, and the score divided by
$\sqrt{D_k}$, the number of products in the sum.

**4.** Padding is left out before the softmax, which runs over the keys.

**5.** With changed keys the weights differ. The additive score is bounded, $|s| \le \sum_h |w_h|$,
so its weights cannot become sharper than that allows; the dot product grows with the length of the
keys. Both are functions of the pair $(q_i, k_j)$, and no more than equal keys make them agree.
"""


MISTAKES = {
    "tanh left out": (2, "np.tanh((Q", "((Q",
        "The tanh is missing in the additive score. Without it the query adds the same number to "
        "all scores of its row, and does not matter."),
    "sigmoid": (
        2, [
            ("np.tanh((Q", "1.0 / (1.0 + np.exp(-(Q"),
            ("None] + (K @ Wk)[:, None]) @", "None] - (K @ Wk)[:, None])) @"),
        ],
        "A sigmoid was used in the additive score; it is tanh.",
    ),
    "multiplied": (2, "None] + (K", "None] * (K",
        "The two projections were multiplied; the additive score adds them."),
    "query left out": (2, "(Q @ Wq)[:, :, None] +", "0.0 * (Q @ Wq)[:, :, None] +",
        "The query has no part in the additive weights: it is missing in the score, or has a tanh "
        "of its own, a number that all keys of its row share and that cancels."),
    "w left out": (2, " @ w\n", ".sum(axis=-1)\n",
        "The hidden units were summed as they are; each has a weight, w."),
    "additive scaled": (2, " @ w\n", " @ w / math.sqrt(len(w))\n",
        "The additive score was divided by √H; only the dot product is scaled."),
    "scale left out": (3, " / math.sqrt(K.shape[-1])", "",
        "The factor 1/√Dk is missing in the dot-product score."),
    "scale squared": (3, "math.sqrt(K.shape[-1])", "K.shape[-1]",
        "The dot product was divided by Dk; it should be √Dk."),
    "width of the queries": (3, "sqrt(K.", "sqrt(Q.",
        "The dot product was divided by √Dq; its sum runs over Dk products."),
    "no mask": (4, [("(additive, mask)", "(additive)"), ("(dot, mask)", "(dot)")],
        "Padding gets weight: valid_lens was not used."),
    "one too many": (4, "< valid_lens", "<= valid_lens",
        "One key of padding gets weight: real are 0 … length − 1."),
    "one too few": (4, "valid_lens[:, None])", "valid_lens[:, None] - 1)",
        "The last real key gets no weight: real are 0 … length − 1."),
    "polarity": (4, "< valid_lens", ">= valid_lens",
        "The padding was kept, and the real keys were left out."),
    "mask after the softmax": (
        4, [("(additive, mask)", "(additive) * mask"), ("(dot, mask)", "(dot) * mask")],
        "The mask was applied after the softmax: the weights that are left do not sum to 1.",
    ),
    "score 0 on padding": (
        4, [("(additive, mask)", "(additive * mask)"), ("(dot, mask)", "(dot * mask)")],
        "Padding got the score 0, which is a score like any other, e⁰ = 1. It must be −∞.",
    ),
    "over the queries": (
        4, [
            ("(additive, mask)",
             "(additive.swapaxes(-1, -2), mask.swapaxes(-1, -2)).swapaxes(-1, -2)"),
            ("(dot, mask)", "(dot.swapaxes(-1, -2), mask.swapaxes(-1, -2)).swapaxes(-1, -2)"),
        ],
        "The softmax runs over the queries; each query's weights sum to 1.",
    ),
    "longest for all": (
        4,
        "< valid_lens[:, None]",
        "< 0 * valid_lens[:, None] + valid_lens.max()",
        "The longest length of the batch was used for all sequences; each has its own.",
    ),
    "first length for all": (
        4,
        "< valid_lens[:, None]",
        "< 0 * valid_lens[:, None] + valid_lens[0]",
        "The length of the first sequence was used for all; each has its own.",
    ),
}
