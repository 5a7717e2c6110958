r"""d2l 10.3.5, level 3: A score that does not ask the query

Queries and keys of one width could be added instead of multiplied, and the components summed,

$$ s_{ij} = \sum_c (q_{ic} + k_{jc}), \qquad P = \operatorname{softmax}(S), \qquad O = PV . $$

Is that a better score than the dot product? Find the gradients of queries, keys and values, and
judge. Exercise 3 of d2l 10.3 (Chinese edition; in the English one, 11.3).

    Q    (..., Tq, D)    queries
    K    (..., Tk, D)    keys
    V    (..., Tk, Dv)   values
    P    (..., Tq, Tk)   weights
    dO   (..., Tq, Dv)   the gradient with respect to the output
"""

import numpy as np

from npattn.exercises.drawing import draw_attention
from npattn.exercises.given import AttentionCache, masked_softmax
from npattn.exercises.steps import SOFTMAX_BACKWARD, at

ANSWER = {"dQ": "query dim", "dK": "key dim", "dV": "key dim"}


def sum_attention(Q, K, V, mask=None):
    """O (..., Tq, Dv) and the cache; mask (..., Tq, Tk) is True where a query may attend."""
    S = (Q[..., :, None, :] + K[..., None, :, :]).sum(axis=-1)
    P = masked_softmax(S, mask)
    return P @ V, AttentionCache(Q, K, V, P)


FORWARD = sum_attention
GIVEN = (masked_softmax, AttentionCache, sum_attention)
cases = draw_attention


def vector_sum_score(dO, cache):
    """The gradients of queries, keys and values.

    dO     (..., Tq, Dv)   gradient of the loss with respect to O
    cache  AttentionCache  Q, K, V and P as above

    Returns dQ, dK and dV, shaped like Q, K and V.
    """
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    dQ = np.broadcast_to(dS.sum(axis=-1)[..., None], Q.shape)  # 0: the rows of dS sum to 0
    dK = np.broadcast_to(dS.sum(axis=-2)[..., None], K.shape)
    return dQ, dK, P.swapaxes(-1, -2) @ dO


HINTS = (
    "Write the score as a term of the query plus a term of the key. What does the softmax make of "
    "the first?",
    "∂s_ij/∂q_ic = 1 for every key j, so dq_ic is the sum of row i of dS; ∂s_ij/∂k_jc = 1 for "
    "every query i. What do the rows of a softmax's gradient sum to?",
    "dQ = 0. dk_jc = Σ_i dS_ij, the same for every c; dV = Pᵀ dO.",
)

DERIVATION = r"""
**1.** $O = PV$: $\; dV = P^\top dO$, $dP = dO\,V^\top$, and
$dS = P \odot \bigl(dP - \operatorname{rowsum}(dP \odot P)\bigr)$.

**2.** $s_{ij} = a_i + b_j$ with $a_i = \sum_c q_{ic}$ and $b_j = \sum_c k_{jc}$. The factor
$e^{a_i}$ is in every term of row $i$ and cancels:

$$ p_{ij} = \frac{e^{b_j}}{\sum_l e^{b_l}} , $$

the same weights for all queries (but for the mask).

**3.** So $dQ = 0$. The gradient says so too: $dq_{ic} = \sum_j ds_{ij}$, and rows of $dS$ sum to 0,
since $\sum_j p_{ij}\, dp_{ij} - \sum_j p_{ij} \sum_l dp_{il}\, p_{il} = 0$.

**4.** Key $j$ enters column $j$ with the derivative 1 in each of its components:

$$ dk_{jc} = \sum_i ds_{ij} \quad \text{for every } c . $$

A score that is a sum of one term for the query and one for the key never asks whether they match,
and a query can learn nothing. The dot product does ask; so does the additive score of the text, for
the tanh between sum and $w$.
"""


MISTAKES = {
    **at(1, SOFTMAX_BACKWARD),
    "P for dS": (1, "P * (dP - (dP * P).sum(axis=-1, keepdims=True))", "P",
        "The weights P were used where the gradient of the scores, dS, belongs."),
    "dot product": (
        2, [
            ("np.broadcast_to(dS.sum(axis=-1)[..., None], Q.shape)", "dS @ K"),
            ("np.broadcast_to(dS.sum(axis=-2)[..., None], K.shape)", "dS.swapaxes(-1, -2) @ Q"),
        ],
        "These are the gradients of a dot product, dS K and dSᵀ Q; here components are added.",
    ),
    "keys for queries": (3, "np.broadcast_to(dS.sum(axis=-1)[..., None], Q.shape)", "dS @ K",
        "dQ is dS K, as for a dot product. Here ∂s_ij/∂q_ic is 1, and rows of dS sum to 0."),
    "query like key": (
        3, "dS.sum(axis=-1)", "dS.sum(axis=-2)",
        "dQ holds column sums of dS, like dK; a query enters its row, and rows of dS sum to 0. It "
        "runs only where there are as many queries as keys.",
    ),
    "keys do not matter": (4, "dS.sum(axis=-2)[", "0.0 * dS.sum(axis=-2)[",
        "dK is 0. The term of the query cancels in the softmax, that of the key does not."),
    "over the keys": (4, "dS.sum(axis=-2)", "dS.sum(axis=-1)",
        "dK sums the rows of dS, over the keys; key j collects column j. It runs only where there "
        "are as many queries as keys."),
    "mean over queries": (4, "dS.sum(axis=-2)", "dS.mean(axis=-2)",
        "A mean over the queries was taken in dK; all queries add up."),
    "shared by the dims": (4, "K.shape)", "K.shape) / Q.shape[-1]",
        "dK was divided by D. Each component is added with the factor 1, so each gets it all."),
    "times K": (4, "K.shape)", "K.shape) * K",
        "dK has a factor K. The score is linear in the key, with the derivative 1."),
    "scaled": (4, "K.shape)", "K.shape) / Q.shape[-1] ** 0.5",
        "dK has a factor 1/√D; this score has none."),
    "dV without transpose": (1, "P.swapaxes(-1, -2) @", "P @",
        "dV uses P, not its transpose: value j collects from all queries."),
}
