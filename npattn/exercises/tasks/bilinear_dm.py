r"""d2l 11.3.6, level 3: A matrix between queries and keys of different widths

A dot product needs queries and keys of one width. With a learned matrix between them they may
differ, and the score still takes matrix products only:

$$ s_{ij} = q_i^\top M\, k_j, \qquad P = \operatorname{softmax}(S), \qquad O = PV . $$

Find $dM$, the gradient of the matrix, which all queries, all keys and all sequences of the batch
share. Exercise 2 of d2l 11.3; exercise 2 of 10.3 in the Chinese edition. (Luong, Pham and Manning
2015, the score "general".)

    Q    (B, Tq, Dq)   queries
    K    (B, Tk, Dk)   keys
    V    (B, Tk, Dv)   values
    M    (Dq, Dk)      the matrix
    P    (B, Tq, Tk)   weights
    dO   (B, Tq, Dv)   the gradient with respect to the output
    dM   (Dq, Dk)
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw, draw_mask
from npattn.exercises.given import masked_softmax
from npattn.exercises.steps import SOFTMAX_BACKWARD, at

ANSWER = {"dM": "query-dim key-dim"}


class BilinearCache(NamedTuple):
    """What the backward may use."""

    Q: np.ndarray  # (B, Tq, Dq)
    K: np.ndarray  # (B, Tk, Dk)
    V: np.ndarray  # (B, Tk, Dv)
    M: np.ndarray  # (Dq, Dk)
    P: np.ndarray  # (B, Tq, Tk)


def bilinear_attention(Q, K, V, M, mask=None):
    """O (B, Tq, Dv) and the cache; mask (Tq, Tk) is True where a query may attend."""
    P = masked_softmax(Q @ M @ K.swapaxes(-1, -2), mask)
    return P @ V, BilinearCache(Q, K, V, M, P)


FORWARD = bilinear_attention
GIVEN = (masked_softmax, BilinearCache, bilinear_attention)


def bilinear_dm(dO, cache):
    """The gradient of the matrix.

    dO     (B, Tq, Dv)    gradient of the loss with respect to O
    cache  BilinearCache  as above

    Returns dM (Dq, Dk).
    """
    Q, K, V, M, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    return (Q.swapaxes(-1, -2) @ dS @ K).sum(axis=0)


def specification(dO, cache):
    """Pair by pair: s_ij has the gradient q_i k_jᵀ with respect to M."""
    Q, K, V, M, P = cache
    dM = np.zeros_like(M)
    for b, i, j in np.ndindex(P.shape):
        ds = P[b, i, j] * (dO[b, i] @ (V[b, j] - P[b, i] @ V[b]))
        dM += ds * np.outer(Q[b, i], K[b, j])
    return dM


def cases(rng):
    def inputs(B, Tq, Tk, Dq, Dk, Dv, *mask):
        sizes = (B, Tq, Dq), (B, Tk, Dk), (B, Tk, Dv), (Dq, Dk)
        return (*(draw(rng, *size) for size in sizes), *mask)

    X = draw(rng, 1, 3, 2)
    return {
        "one query, two keys": inputs(1, 1, 2, 2, 1, 1),
        "every length different": inputs(1, 2, 4, 3, 5, 1),
        "a batch, and a query that may attend to nothing": inputs(
            2, 3, 4, 2, 1, 5, draw_mask(rng, 3, 4)
        ),
        "one array as queries, keys and values": (X, X, X, draw(rng, 2, 2)),
        "everything of one length": inputs(3, 3, 3, 3, 3, 3),
    }


HINTS = (
    "dS does not care how the scores were made. What remains is S = Q M Kᵀ, with Q and K held "
    "fixed.",
    "s_ij = Σ_ac q_ia M_ac k_jc, so ∂s_ij/∂M_ac = q_ia k_jc. M serves all pairs: sum over i and j, "
    "and over the batch.",
    "dM = Σ_b Q_bᵀ dS_b K_b.",
)

DERIVATION = r"""
**1.** $O = PV$ gives $dP = dO\,V^\top$.

**2.** $dS = P \odot \bigl(dP - \operatorname{rowsum}(dP \odot P)\bigr)$.

**3.** The score is linear in each entry of the matrix,

$$ s_{ij} = \sum_{ac} q_{ia}\, M_{ac}\, k_{jc}, \qquad
   \frac{\partial s_{ij}}{\partial M_{ac}} = q_{ia}\, k_{jc} , $$

and $M$ serves all pairs of a query and a key:
$\sum_{ij} q_{ia}\, ds_{ij}\, k_{jc}$, which is $Q^\top dS\, K$.

**4.** All sequences of the batch share $M$ as well:

$$ dM = \sum_b Q_b^\top\, dS_b\, K_b . $$

With $M = I/\sqrt D$ this is scaled dot-product attention; with $M = W_q W_k^\top$ it is the product
of two projections, and $dW_q = dM\, W_k$.
"""


MISTAKES = {
    **at(2, SOFTMAX_BACKWARD),
    "scale of the keys": (3, "keepdims=True))\n", "keepdims=True)) / K.shape[-1] ** 0.5\n",
        "There is a factor 1/√Dk. This score is not scaled; M can learn any scale."),
    "scale of the queries": (3, "keepdims=True))\n", "keepdims=True)) / Q.shape[-1] ** 0.5\n",
        "There is a factor 1/√Dq. This score is not scaled; M can learn any scale."),
    "P for dS": (2, "P * (dP - (dP * P).sum(axis=-1, keepdims=True))", "P",
        "The weights P were used where the gradient of the scores, dS, belongs."),
    "dS transposed": (3, "@ dS @", "@ dS.swapaxes(-1, -2) @",
        "dS was transposed: it is (queries, keys), as it has to be between Qᵀ and K. The other way "
        "runs only where there are as many queries as keys."),
    "Q and K exchanged": (3, [("(Q.swap", "(K.swap"), ("dS @ K", "dS @ Q")],
        "Queries and keys have changed places around dS; it is Qᵀ dS K."),
    "transposed": (3, "@ K).sum", "@ K).swapaxes(-1, -2).sum",
        "This is Kᵀ dSᵀ Q, the transpose of dM. In the score the rows of M meet the query: Qᵀ dS "
        "K."),
    "V for K": (3, "dS @ K", "dS @ V",
        "dS is multiplied by the values; what M meets in the score is the key."),
    "M in dM": (3, "@ K).sum", "@ K * M).sum",
        "dM has a factor M. The score is linear in M: its derivative is q kᵀ alone."),
    "not summed over the batch": (4, "K).sum(axis=0)", "K)",
        "There is a matrix for each sequence. The batch shares M: sum over it."),
    "mean over the batch": (4, "K).sum", "K).mean",
        "dM is a mean over the batch. A mean, if there is one, belongs to the loss and is in dO "
        "already."),
}
