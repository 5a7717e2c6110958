r"""d2l 11.3.3, level 3: The gradient of the keys

Scaled dot-product attention, $O = PV$ with $P = \operatorname{softmax}(QK^\top / \sqrt{d})$. Find
$dK$, the gradient of a loss with respect to the keys, from $dO$.

    Q    (..., Tq, Dk)   queries
    K    (..., Tk, Dk)   keys
    V    (..., Tk, Dv)   values
    P    (..., Tq, Tk)   weights
    dO   (..., Tq, Dv)   the gradient with respect to the output
    dK   (..., Tk, Dk)

The cache holds everything that you need. A key that nobody may attend to gets the gradient 0.
"""

import math

from npattn.exercises.drawing import draw_attention
from npattn.exercises.given import AttentionCache, attention, masked_softmax
from npattn.exercises.steps import SCALE, SOFTMAX_BACKWARD, at

ANSWER = {"dK": "key dim"}
FORWARD = attention
GIVEN = (masked_softmax, AttentionCache, attention)
cases = draw_attention


def attention_dk(dO, cache):
    """The gradient of the keys.

    dO     (..., Tq, Dv)   gradient of the loss with respect to O
    cache  AttentionCache  Q, K, V and P as above

    Returns dK (..., Tk, Dk).
    """
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    return dS.swapaxes(-1, -2) @ Q / math.sqrt(Q.shape[-1])


HINTS = (
    "Follow the loss back to K: O = P V, then P = softmax(S), then S = Q Kᵀ/√Dk. The first two "
    "steps give dS (..., Tq, Tk), whatever you differentiate after.",
    "Key j enters the scores of all queries: S_ij = q_i · k_j / √Dk. So dk_j is a sum over the "
    "queries i.",
    "dP = dO Vᵀ; dS = P ⊙ (dP − rowsum(dP ⊙ P)); dK = dSᵀ Q / √Dk.",
)

DERIVATION = r"""
**1.** $O = PV$, entry by entry $o_{ic} = \sum_j p_{ij} v_{jc}$. A weight meets one row of $V$:

$$ dp_{ij} = \sum_c do_{ic}\, v_{jc}, \qquad dP = dO\, V^\top . $$

**2.** $P = \operatorname{softmax}(S)$ row by row, so

$$ dS = P \odot \bigl(dP - \operatorname{rowsum}(dP \odot P)\bigr) . $$

**3.** $s_{ij} = \sum_c q_{ic} k_{jc} / \sqrt{d}$. Key $j$ appears in column $j$ of the scores, once
for each query, so its gradient is a sum over the queries:

$$ dk_{jc} = \frac{1}{\sqrt d} \sum_i ds_{ij}\, q_{ic}, \qquad dK = dS^\top Q / \sqrt d . $$

The transpose is the sum over queries. The $1/\sqrt d$ is a factor of the score and stays one of
the gradient.
"""


MISTAKES = {
    **at(2, SOFTMAX_BACKWARD),
    **at(3, SCALE),
    "P for dS": (3, "P * (dP - (dP * P).sum(axis=-1, keepdims=True))", "P",
        "The weights P were used where the gradient of the scores, dS, belongs."),
    "no transpose": (3, "dS.swapaxes(-1, -2) @ Q", "dS @ Q",
        "dS was not transposed: dS Q sums over the keys, but key j collects from all queries, "
        "which is what dSᵀ Q does. It runs only where there are as many queries as keys."),
    "K for Q": (3, "-2) @ Q", "-2) @ K",
        "dSᵀ is multiplied by K; the factor beside k in the score q · k is q."),
}
