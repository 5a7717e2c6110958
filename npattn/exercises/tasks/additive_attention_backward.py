r"""d2l 11.3.4, level 4: The gradients of additive attention's parameters

Query and key meet in a small network, and may differ in width:

$$ F_{ij} = \tanh(q_i W_q + k_j W_k), \qquad s_{ij} = F_{ij} \cdot w, \qquad
   O = \operatorname{softmax}(S)\, V . $$

Find the gradients of what is learned: $W_q$, $W_k$ and $w$. (Chinese edition 10.3.2; Bahdanau, Cho
and Bengio 2015.)

    Q    (B, Tq, Dq)      queries
    K    (B, Tk, Dk)      keys
    V    (B, Tk, Dv)      values
    Wq   (Dq, H)          weights, H hidden units
    Wk   (Dk, H)
    w    (H,)
    F    (B, Tq, Tk, H)   the hidden units for each pair
    P    (B, Tq, Tk)      weights of attention
    dO   (B, Tq, Dv)      the gradient with respect to the output
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw, draw_mask
from npattn.exercises.given import masked_softmax
from npattn.exercises.steps import SOFTMAX_BACKWARD, at

ANSWER = {"dWq": "in unit", "dWk": "in unit", "dw": "unit"}


class AdditiveCache(NamedTuple):
    """What the backward may use."""

    Q: np.ndarray   # (B, Tq, Dq)
    K: np.ndarray   # (B, Tk, Dk)
    V: np.ndarray   # (B, Tk, Dv)
    Wq: np.ndarray  # (Dq, H)
    Wk: np.ndarray  # (Dk, H)
    w: np.ndarray   # (H,)
    F: np.ndarray   # (B, Tq, Tk, H)
    P: np.ndarray   # (B, Tq, Tk)


def additive_attention(Q, K, V, Wq, Wk, w, mask=None):
    """O (B, Tq, Dv) and the cache; mask (Tq, Tk) is True where a query may attend."""
    F = np.tanh((Q @ Wq)[:, :, None, :] + (K @ Wk)[:, None, :, :])
    P = masked_softmax(F @ w, mask)
    return P @ V, AdditiveCache(Q, K, V, Wq, Wk, w, F, P)


FORWARD = additive_attention
GIVEN = (masked_softmax, AdditiveCache, additive_attention)


def additive_attention_backward(dO, cache):
    """The gradients of the parameters.

    dO     (B, Tq, Dv)    gradient of the loss with respect to O
    cache  AdditiveCache  as above

    Returns dWq (Dq, H), dWk (Dk, H) and dw (H,).
    """
    Q, K, V, Wq, Wk, w, F, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    # S = F w
    dw = np.einsum("bqk,bqkh->h", dS, F)
    # F = tanh(G),  G_ij = q_i Wq + k_j Wk
    dG = dS[..., None] * w * (1.0 - F * F)
    return np.einsum("bqi,bqkh->ih", Q, dG), np.einsum("bki,bqkh->ih", K, dG), dw


def cases(rng):
    def inputs(B, Tq, Tk, Dq, Dk, Dv, H, *mask):
        sizes = (B, Tq, Dq), (B, Tk, Dk), (B, Tk, Dv), (Dq, H), (Dk, H), (H,)
        return (*(draw(rng, *size) for size in sizes), *mask)

    X = draw(rng, 1, 3, 2)
    return {
        "one query, two keys": inputs(1, 1, 2, 1, 1, 1, 1),
        "every length different": inputs(1, 2, 4, 3, 1, 2, 5),
        "a batch, and a query that may attend to nothing": inputs(
            2, 3, 4, 2, 1, 2, 3, draw_mask(rng, 3, 4)
        ),
        "one array as queries, keys and values": (
            X, X, X, draw(rng, 2, 2), draw(rng, 2, 2), draw(rng, 2),
        ),
        "everything of one length": inputs(2, 2, 2, 2, 2, 2, 2),
    }


HINTS = (
    "dS comes as in any attention; only the scores are made in another way. From dS back: s = F·w, "
    "F = tanh(G), and G is a sum of two linear layers.",
    "tanh′ = 1 − tanh², and F is in the cache: dG = dS w (1 − F²), with an axis for the units. The "
    "query q_i is in G_ij for every key j, the key k_j for every query i.",
    "dw = Σ dS_ij F_ij; dWq = Σ_i q_iᵀ (Σ_j dG_ij), dWk = Σ_j k_jᵀ (Σ_i dG_ij), all of it summed "
    "over the batch.",
)

DERIVATION = r"""
**1.** As in every attention, $dP = dO\,V^\top$ and
$dS = P \odot \bigl(dP - \operatorname{rowsum}(dP \odot P)\bigr)$.

**2.** $s_{ij} = \sum_h F_{ijh} w_h$. The vector $w$ serves all pairs, so

$$ dw_h = \sum_{ij} ds_{ij}\, F_{ijh}, \qquad dF_{ijh} = ds_{ij}\, w_h . $$

**3.** $F = \tanh(G)$, and $\tanh' = 1 - \tanh^2$, which needs no more than $F$:

$$ dG_{ijh} = ds_{ij}\, w_h\, (1 - F_{ijh}^2) . $$

**4.** $G_{ij} = q_i W_q + k_j W_k$. The term $q_i W_q$ was broadcast over the keys, so its gradient
is a sum over the keys; $k_j W_k$ over the queries, likewise:

$$ dW_q = \sum_i q_i^\top \Bigl( \sum_j dG_{ij} \Bigr), \qquad
   dW_k = \sum_j k_j^\top \Bigl( \sum_i dG_{ij} \Bigr) . $$

**5.** All sequences of the batch share the parameters: each gradient is a sum over the batch, too.
"""


MISTAKES = {
    **at(1, SOFTMAX_BACKWARD),
    "scaled": (1, "keepdims=True))\n", "keepdims=True)) / len(w) ** 0.5\n",
        "There is a factor 1/√H; additive scores are not scaled."),
    "w left out": (2, "* w *", "*", "The factor w is missing: s = F·w gives dF = ds · w."),
    "w in dw": (2, "dS, F)", "dS, F * w)",
        "dw has a factor w. The score is linear in w: its derivative is F alone."),
    "dw before tanh": (2, "dS, F)", "dS, np.arctanh(F))",
        "dw uses the sums q Wq + k Wk before the tanh; what w multiplies is F = tanh(…)."),
    "tanh skipped": (3, " * (1.0 - F * F)", "",
        "The tanh was not differentiated: a factor 1 − F² is missing."),
    "sigmoid": (3, "(1.0 - F * F)", "F * (1.0 - F)",
        "F (1 − F) is the derivative of a sigmoid; that of tanh is 1 − F²."),
    "square left out": (3, "1.0 - F * F", "1.0 - F",
        "The derivative of tanh is 1 − F², not 1 − F."),
    "tanh twice": (3, "F * F", "np.tanh(F) ** 2",
        "tanh was applied to F once more. F is the tanh already: its derivative is 1 − F²."),
    "axes exchanged": (
        4, [
            ('np.einsum("bqi,bqkh->ih", Q, dG)', "sum(Q.swapaxes(-1, -2) @ dG.sum(axis=1))"),
            ('np.einsum("bki,bqkh->ih", K, dG)', "sum(K.swapaxes(-1, -2) @ dG.sum(axis=2))"),
        ],
        "The sums run over the wrong axes: for dWq sum over the keys, for dWk over the queries. "
        "The other way it runs only where there are as many queries as keys.",
    ),
    "mean over pairs": (4, [("Q, dG", "Q, dG / K.shape[1]"), ("K, dG", "K, dG / Q.shape[1]")],
        "Means were taken over keys and queries. What was broadcast collects a sum."),
    "not summed over the batch": (
        5, [
            ('->h"', '->bh"'),
            ("bqi,bqkh->ih", "bqi,bqkh->bih"),
            ("bki,bqkh->ih", "bki,bqkh->bih"),
        ],
        "The gradients have an axis for the batch. All sequences share the parameters: sum.",
    ),
    "mean over the batch": (
        5, [
            ("dS, F)", "dS, F) / len(Q)"),
            ("Q, dG)", "Q, dG) / len(Q)"),
            ("K, dG)", "K, dG) / len(Q)"),
        ],
        "The gradients are means over the batch. A mean, if there is one, belongs to the loss and "
        "is in dO already.",
    ),
}
