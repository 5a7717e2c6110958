r"""beyond d2l, level 2: Linear attention, a recurrence

Without a softmax, causal attention needs no table of weights. A state $S_t$ collects what the keys
and values so far have written, and the query reads from it:

$$ S_t = S_{t-1} + k_t\, v_t^\top, \qquad o_t = S_t^\top q_t, \qquad S_0 = 0 . $$

Return all outputs and the last state. (Katharopoulos et al. 2020, without a feature map.)

    Q   (..., T, Dk)    queries
    K   (..., T, Dk)    keys
    V   (..., T, Dv)    values
    O   (..., T, Dv)    outputs
    S   (..., Dk, Dv)   the state after the last token
"""

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"O": "position dim", "S": "key-dim dim"}


def linear_attention(Q, K, V):
    """What each query reads, and the state at the end.

    Q, K  (..., T, Dk)  queries and keys
    V     (..., T, Dv)  values

    Returns O (..., T, Dv) and S (..., Dk, Dv).
    """
    scores = np.tril(Q @ K.swapaxes(-1, -2))
    return scores @ V, K.swapaxes(-1, -2) @ V


def specification(Q, K, V):
    """Token by token."""
    O = np.zeros((*Q.shape[:-1], V.shape[-1]))
    S = np.zeros((*Q.shape[:-2], Q.shape[-1], V.shape[-1]))
    for t in range(Q.shape[-2]):
        S += K[..., t, :, None] * V[..., t, None, :]
        O[..., t, :] = (S * Q[..., t, :, None]).sum(axis=-2)
    return O, S


def cases(rng):
    def inputs(T, Dk, Dv, *lead):
        return draw(rng, *lead, T, Dk), draw(rng, *lead, T, Dk), draw(rng, *lead, T, Dv)

    return {
        "two tokens of one number": inputs(2, 1, 1),
        "every length different": inputs(3, 2, 4),
        "everything of one length": inputs(3, 3, 3),
        "batch and heads": inputs(4, 3, 2, 2, 3),
    }


HINTS = (
    "The token's own key and value are written before its query reads.",
    "o_t = Σ_{j ≤ t} (q_t · k_j) v_j: attention's product of three matrices with a causal mask of "
    "0 and 1, and no softmax.",
    "O = tril(Q Kᵀ) V and S = Kᵀ V.",
)

DERIVATION = r"""
**1.** Written out, the state is a sum over the tokens so far, $S_t = \sum_{j \le t} k_j v_j^\top$.

**2.** The query reads $o_t = S_t^\top q_t = \sum_{j \le t} (q_t \cdot k_j)\, v_j$, its own token
included.

**3.** In matrices $O = \operatorname{tril}(QK^\top)\, V$, and the last state is
$S_T = K^\top V$: nothing is divided, scaled or made positive.
"""


MISTAKES = {
    "reads first": (2, "np.tril(Q @ K.swapaxes(-1, -2))", "np.tril(Q @ K.swapaxes(-1, -2), -1)",
        "The query read before its own key and value were written; it is to see its own token."),
    "no mask": (2, "np.tril(Q @ K.swapaxes(-1, -2))", "Q @ K.swapaxes(-1, -2)",
        "Every query read the last state, with what later tokens wrote."),
    "future": (2, "np.tril(", "np.triu(",
        "Each query reads what its own and later tokens wrote; it should be the earlier ones."),
    "scaled": (3, "np.tril(Q @ K.swapaxes(-1, -2))",
        "np.tril(Q @ K.swapaxes(-1, -2)) / Q.dtype.type(Q.shape[-1] ** 0.5)",
        "The scores have a factor 1/√Dk, as in a softmax; here nothing is scaled."),
    "divided by the position": (
        3, "scores @ V,", "scores @ V / np.arange(1, Q.shape[-2] + 1, dtype=V.dtype)[:, None],",
        "Each output was divided by the number of tokens so far; the state is a sum."),
    "softmax": (
        3, "    return scores",
        "    scores = np.tril(np.exp(Q @ K.swapaxes(-1, -2)))\n"
        "    scores = scores / scores.sum(axis=-1, keepdims=True)\n"
        "    return scores",
        "A softmax was taken over the keys; linear attention has none."),
    "keys for values": (3, "return scores @ V, K.swapaxes(-1, -2) @ V",
        "return scores @ K, K.swapaxes(-1, -2) @ K",
        "The keys were written as values as well: S collects k vᵀ."),
    "state transposed": (3, "V, K.swapaxes(-1, -2) @ V", "V, V.swapaxes(-1, -2) @ K",
        "The state is Σ v kᵀ, the transpose: rows of S belong to the key, columns to the value."),
    "queries written": (1, "V, K.swapaxes(-1, -2) @ V", "V, Q.swapaxes(-1, -2) @ V",
        "The last state was written with the queries; keys write, queries read."),
    "no state": (
        1, "np.tril(Q @ K.swapaxes(-1, -2))\n    return scores @ V, K.swapaxes(-1, -2) @ V",
        "Q @ K.swapaxes(-1, -2) * np.eye(Q.shape[-2], dtype=Q.dtype)\n"
        "    return scores @ V, K[..., -1:, :].swapaxes(-1, -2) @ V[..., -1:, :]",
        "Each query read its own token alone, and the state holds the last one alone: nothing was "
        "kept. S collects from all tokens so far."),
    "own token only": (1, "np.tril(Q @ K.swapaxes(-1, -2))",
        "Q @ K.swapaxes(-1, -2) * np.eye(Q.shape[-2], dtype=Q.dtype)",
        "Each query read what its own token wrote, and nothing of the tokens before."),
    "last token only": (1, "V, K.swapaxes(-1, -2) @ V",
        "V, K[..., -1:, :].swapaxes(-1, -2) @ V[..., -1:, :]",
        "The state holds only what the last token wrote; it collects from all."),
    "mean": (1, "V, K.swapaxes(-1, -2) @ V", "V, K.swapaxes(-1, -2) @ V / Q.shape[-2]",
        "The state was divided by the number of tokens; it is a sum."),
    "keys read": (2, "np.tril(Q @ K", "np.tril(K @ K",
        "The state was read with the keys; it is the query that reads."),
}
