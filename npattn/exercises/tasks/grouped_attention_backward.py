r"""beyond d2l, level 4: The backward of grouped heads

In grouped-query attention the $R$ query heads of a group share one head of keys and values:

$$ O_{gr} = \operatorname{softmax}(Q_{gr} K_g^\top / \sqrt{D})\, V_g . $$

Find the gradients. (Ainslie et al. 2023.)

    Q    (B, G, R, Tq, D)    queries: G groups of R heads
    K    (B, G, Tk, D)       keys, one head for each group
    V    (B, G, Tk, Dv)      values, likewise
    P    (B, G, R, Tq, Tk)   weights
    dO   (B, G, R, Tq, Dv)   the gradient with respect to the output

Each gradient is shaped like what it belongs to.
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw
from npattn.exercises.given import masked_softmax
from npattn.exercises.steps import SOFTMAX_BACKWARD, at

ANSWER = {
    "dQ": "batch group head query dim", "dK": "batch group key dim", "dV": "batch group key dim"}


class GroupedCache(NamedTuple):
    """What the backward may use."""

    Q: np.ndarray  # (B, G, R, Tq, D)
    K: np.ndarray  # (B, G, Tk, D)
    V: np.ndarray  # (B, G, Tk, Dv)
    P: np.ndarray  # (B, G, R, Tq, Tk)


def grouped_attention(Q, K, V):
    """O (B, G, R, Tq, Dv) and the cache."""
    S = Q @ K[:, :, None].swapaxes(-1, -2) / math.sqrt(Q.shape[-1])
    P = masked_softmax(S)
    return P @ V[:, :, None], GroupedCache(Q, K, V, P)


FORWARD = grouped_attention
GIVEN = (masked_softmax, GroupedCache, grouped_attention)


def grouped_attention_backward(dO, cache):
    """The gradients of queries, keys and values.

    dO     (B, G, R, Tq, Dv)  gradient of the loss with respect to O
    cache  GroupedCache       as above

    Returns dQ, dK and dV, shaped like Q, K and V.
    """
    Q, K, V, P = cache
    # O = P V
    dV = (P.swapaxes(-1, -2) @ dO).sum(axis=2)
    dP = dO @ V[:, :, None].swapaxes(-1, -2)
    # P = softmax(S),  S = Q Kᵀ / √D
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True)) / math.sqrt(Q.shape[-1])
    dK = (dS.swapaxes(-1, -2) @ Q).sum(axis=2)
    return dS @ K[:, :, None], dK, dV


def cases(rng):
    def inputs(B, G, R, Tq, Tk, D, Dv):
        return draw(rng, B, G, R, Tq, D), draw(rng, B, G, Tk, D), draw(rng, B, G, Tk, Dv)

    return {
        "two heads that share keys": inputs(1, 1, 2, 1, 2, 2, 1),
        "every length different": inputs(1, 2, 3, 4, 5, 6, 1),
        "a batch": inputs(2, 3, 2, 1, 4, 2, 3),
        "everything of one length": inputs(2, 2, 2, 2, 2, 2, 2),
    }


HINTS = (
    "In each head it is attention's backward. Keys and values serve all heads of their group.",
    "The forward gives K and V an axis for the heads, of length 1, that is broadcast. What is the "
    "backward of a broadcast?",
    "dS as ever; dQ = dS K/√D; dK = Σ_r dS_rᵀ Q_r/√D and dV = Σ_r P_rᵀ dO_r, sums over the heads "
    "of a group.",
)

DERIVATION = r"""
**1.** In each head $O = PV$: $dP = dO\,V^\top$, and the head's share of $dV$ is $P^\top dO$.

**2.** Through the softmax $dS = P \odot (dP - \operatorname{rowsum}(dP \odot P))$, and through the
scale $1/\sqrt D$.

**3.** In each head $dQ = dS\,K$, and the head's share of $dK$ is $dS^\top Q$.

**4.** The $R$ heads of a group use the same keys and values, which collect from all of them:

$$ dK_g = \sum_r dS_{gr}^\top Q_{gr} / \sqrt D, \qquad dV_g = \sum_r P_{gr}^\top dO_{gr} . $$
"""


MISTAKES = {
    **at(2, SOFTMAX_BACKWARD),
    "scale left out": (2, " / math.sqrt(Q.shape[-1])", "",
        "The factor 1/√D of the scores is missing in dQ and dK."),
    "scale of the values": (2, "sqrt(Q.shape[-1])", "sqrt(V.shape[-1])",
        "The scale is 1/√Dv; it should be 1/√D, from the width of queries and keys."),
    "mean over the heads": (4, [("Q).sum(axis=2)", "Q).mean(axis=2)"),
                                ("dO).sum(axis=2)", "dO).mean(axis=2)")],
        "Means were taken over the heads of a group; what they share collects a sum."),
    "first head only": (4, [("Q).sum(axis=2)", "Q)[:, :, 0]"), ("dO).sum(axis=2)", "dO)[:, :, 0]")],
        "Only the first head of each group counts; keys and values collect from all."),
    "not summed": (4, [("Q).sum(axis=2)", "Q)"), ("dO).sum(axis=2)", "dO)")],
        "dK and dV have an axis for the heads of a group; these share keys and values: sum."),
    "over the groups": (4, [("Q).sum(axis=2)", "Q).sum(axis=1)"),
                            ("dO).sum(axis=2)", "dO).sum(axis=1)")],
        "The sum runs over the groups; it runs over the heads of each group, axis 2."),
    "dK without transpose": (3, "dS.swapaxes(-1, -2) @ Q", "dS @ Q",
        "dK uses dS, not its transpose; it runs only where there are as many queries as keys."),
    "dV without transpose": (1, "P.swapaxes(-1, -2) @ dO", "P @ dO",
        "dV uses P, not its transpose; it runs only where there are as many queries as keys."),
    "P for dS": (3, "(dS.swapaxes(-1, -2) @ Q)", "(P.swapaxes(-1, -2) @ Q)",
        "In dK the weights P were used where dS belongs."),
    "heads laid out the other way": (
        4,
        [
            ("Q).sum(axis=2)",
             "Q).reshape(len(Q), Q.shape[2], -1, *K.shape[2:]).sum(axis=1)"),
            ("dO).sum(axis=2)",
             "dO).reshape(len(Q), Q.shape[2], -1, *V.shape[2:]).sum(axis=1)"),
        ],
        "The heads were laid out as (R, G) before the sum over R, so heads of different groups "
        "were added; they stand as (G, R).",
    ),
    "summed before the product": (
        4,
        "(P.swapaxes(-1, -2) @ dO).sum(axis=2)",
        "P.sum(axis=2).swapaxes(-1, -2) @ dO.sum(axis=2)",
        "In dV the weights and the gradients were added over the heads before their product; "
        "it is a sum of products.",
    ),
    "summed before the product in dK": (
        4,
        "(dS.swapaxes(-1, -2) @ Q).sum(axis=2)",
        "dS.sum(axis=2).swapaxes(-1, -2) @ Q.sum(axis=2)",
        "In dK the gradients and the queries were added over the heads before their product; "
        "it is a sum of products.",
    ),
}
