r"""d2l 11.3.6, level 3: Distance-based attention with the keys' norms alone

Attention by nearness has the scores $-\tfrac12 \|q_i - k_j\|^2$. Multiplied out, the term
$-\tfrac12 \|q_i\|^2$ is the same for all keys of a query and cancels in the softmax, so

$$ s_{ij} = q_i \cdot k_j - \tfrac12 \|k_j\|^2, \qquad P = \operatorname{softmax}(S), \qquad
   O = PV $$

does the same by one matrix product and the norms of the keys. Find its gradients. Exercise 1 of
d2l 11.3 (Chinese edition: section 10.3).

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


def key_norm_attention(Q, K, V, mask=None):
    """O (..., Tq, Dv) and the cache; mask (..., Tq, Tk) is True where a query may attend."""
    S = Q @ K.swapaxes(-1, -2) - 0.5 * (K * K).sum(axis=-1)[..., None, :]
    P = masked_softmax(S, mask)
    return P @ V, AttentionCache(Q, K, V, P)


FORWARD = key_norm_attention
GIVEN = (masked_softmax, AttentionCache, key_norm_attention)
cases = draw_attention


def key_norm_attention_backward(dO, cache):
    """The gradients of queries, keys and values.

    dO     (..., Tq, Dv)   gradient of the loss with respect to O
    cache  AttentionCache  Q, K, V and P as above

    Returns dQ, dK and dV, shaped like Q, K and V.
    """
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    dK = dS.swapaxes(-1, -2) @ Q - dS.sum(axis=-2)[..., None] * K
    return dS @ K, dK, P.swapaxes(-1, -2) @ dO


def specification(dO, cache):
    """Pair by pair, as in plain attention by distance."""
    Q, K, V, P = cache
    dQ, dK, dV = (np.zeros_like(X) for X in (Q, K, V))
    for b in np.ndindex(P.shape[:-2]):
        for i in range(P.shape[-2]):
            o = P[b][i] @ V[b]
            for j in range(P.shape[-1]):
                ds = P[b][i, j] * (dO[b][i] @ (V[b][j] - o))
                dQ[b][i] += ds * K[b][j]
                dK[b][j] += ds * (Q[b][i] - K[b][j])
                dV[b][j] += P[b][i, j] * dO[b][i]
    return dQ, dK, dV


HINTS = (
    "Up to dS it is attention's backward, with no scale. A key now enters a score twice: in the "
    "product and in its own norm.",
    "∂s_ij/∂q_i = k_j and ∂s_ij/∂k_j = q_i − k_j. Key j enters column j: sum over the queries.",
    "dQ = dS K; dK = dSᵀ Q − c ⊙ K, where c_j = Σ_i dS_ij is the sum of column j of dS.",
)

DERIVATION = r"""
**1.** $O = PV$: $\; dV = P^\top dO$ and $dP = dO\,V^\top$.

**2.** $dS = P \odot \bigl(dP - \operatorname{rowsum}(dP \odot P)\bigr)$.

**3.** The query enters only the product: $\partial s_{ij} / \partial q_i = k_j$, so $dQ = dS\,K$.
(The $-\|q\|^2/2$ that was left out would add $-q_i \sum_j ds_{ij}$, and rows of $dS$ sum to 0.)

**4.** The key enters product and norm, and the square brings down a 2 that cancels the ½:

$$ \frac{\partial s_{ij}}{\partial k_j} = q_i - k_j, \qquad
   dk_j = \sum_i ds_{ij}\,(q_i - k_j), \qquad
   dK = dS^\top Q - \operatorname{diag}(c)\, K, \quad c_j = \sum_i ds_{ij} . $$

Columns of $dS$, unlike its rows, do not sum to 0.
"""


MISTAKES = {
    **at(2, SOFTMAX_BACKWARD),
    "scaled": (2, "keepdims=True))\n", "keepdims=True)) / Q.shape[-1] ** 0.5\n",
        "There is a factor 1/√D; these scores have none, in the forward as here."),
    "norm forgotten": (4, " - dS.sum(axis=-2)[..., None] * K", "",
        "dK lacks the path through ‖k‖²: each key also enters by its own norm, −c ⊙ K."),
    "half kept": (4, "- dS.sum", "- 0.5 * dS.sum",
        "The derivative of ‖k‖²/2 is k: the square brings a 2 that cancels the ½."),
    "half left out": (4, "- dS.sum", "- 2.0 * dS.sum",
        "The ½ in front of ‖k‖² was lost: its derivative is k, not 2k."),
    "plus": (4, "- dS.sum", "+ dS.sum", "The norm's part of dK was added; the score has −‖k‖²/2."),
    "weights for dS": (4, "dS.sum(axis=-2)", "P.sum(axis=-2)",
        "In the norm's part of dK the column sums of P were used; it is those of dS."),
    "mean over queries": (4, "dS.sum(", "dS.mean(",
        "In the norm's part of dK a mean over the queries was taken; all queries add up."),
    "dK without transpose": (4, "dS.swapaxes(-1, -2) @ Q", "dS @ Q",
        "dK uses dS, not its transpose, in the product. It runs only where there are as many "
        "queries as keys."),
}
