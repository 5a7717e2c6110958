r"""d2l 11.3.3, level 3: The gradient of the queries

Scaled dot-product attention, $O = PV$ with $P = \operatorname{softmax}(S)$ and
$S = QK^\top / \sqrt{d}$, where $d$ is the width of queries and keys. Find $dQ$, the gradient of a
loss with respect to the queries, from $dO$.

    Q    (..., Tq, Dk)   queries
    K    (..., Tk, Dk)   keys
    V    (..., Tk, Dv)   values
    P    (..., Tq, Tk)   weights
    dO   (..., Tq, Dv)   the gradient with respect to the output
    dQ   (..., Tq, Dk)

A query that may attend to nothing has weights 0 and gets the gradient 0.
"""

import math

from npattn.exercises.drawing import draw_attention
from npattn.exercises.given import AttentionCache, attention, masked_softmax
from npattn.exercises.steps import SCALE, SOFTMAX_BACKWARD, at

ANSWER = {"dQ": "query dim"}
FORWARD = attention
GIVEN = (masked_softmax, AttentionCache, attention)
cases = draw_attention


def attention_dq(dO, cache):
    """The gradient of the queries.

    dO     (..., Tq, Dv)   gradient of the loss with respect to O
    cache  AttentionCache  Q, K, V and P as above

    Returns dQ (..., Tq, Dk).
    """
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    return dS @ K / math.sqrt(Q.shape[-1])


HINTS = (
    "Go backwards, one line of the forward at a time: first dP from O = P V, then dS from "
    "P = softmax(S), then dQ from S = Q Kᵀ/√Dk.",
    "dP = dO Vᵀ, of the shape of P. For the softmax you need the row sums of dP ⊙ P.",
    "dS = P ⊙ (dP − rowsum(dP ⊙ P)); query i meets every key in its row of scores: "
    "dQ = dS K / √Dk.",
)

DERIVATION = r"""
**1.** $o_{ic} = \sum_j p_{ij} v_{jc}$. A weight meets one row of $V$:

$$ dp_{ij} = \sum_c do_{ic}\, v_{jc}, \qquad dP = dO\, V^\top . $$

**2.** $P = \operatorname{softmax}(S)$, row by row:

$$ dS = P \odot \bigl(dP - \operatorname{rowsum}(dP \odot P)\bigr) . $$

**3.** $s_{ij} = \sum_c q_{ic} k_{jc} / \sqrt d$. Query $i$ occurs in row $i$ of the scores, once
for each key:

$$ dq_{ic} = \frac{1}{\sqrt d} \sum_j ds_{ij}\, k_{jc}, \qquad dQ = dS\, K / \sqrt d . $$

The rows of $dS$ sum to 0, so adding one vector to all keys changes no $dQ$, as it changes no
weight.
"""


MISTAKES = {
    **at(2, SOFTMAX_BACKWARD),
    **at(3, SCALE),
    "P for dS": (3, "P * (dP - (dP * P).sum(axis=-1, keepdims=True))", "P",
        "The weights P were used where the gradient of the scores, dS, belongs."),
    "transposed": (3, "dS @ K", "dS.swapaxes(-1, -2) @ K",
        "dS was transposed. Query i collects from all keys, along row i of dS: dS K. The transpose "
        "belongs to dK."),
    "Q for K": (3, "dS @ K", "dS @ Q",
        "dS is multiplied by Q; the factor beside q in the score q · k is k."),
    "V for K": (3, "dS @ K", "dS @ V",
        "dS is multiplied by V; the factor beside q in the score q · k is k."),
}
