r"""d2l 11.7.5, level 2: One more token, with a cache

A decoder that writes token by token would make the same keys and values again and again. Instead it
keeps them. One new token $x$ arrives; its own key and value join those of the past, and its query
attends to all of them:

$$ K' = \begin{bmatrix} K \\ x W_k \end{bmatrix}, \qquad
   V' = \begin{bmatrix} V \\ x W_v \end{bmatrix}, \qquad
   o = \operatorname{softmax}\Bigl( \frac{x W_q\, K'^\top}{\sqrt{d}} \Bigr)\, V' . $$

The output must equal the last row of causal self-attention over all tokens, computed anew.

    x          (..., 1, D)    the new token
    K          (..., T, Dk)   keys of the tokens so far, T ≥ 0
    V          (..., T, Dv)   values of the tokens so far
    Wq, Wk     (D, Dk)        projections
    Wv         (D, Dv)

Return $o$ (..., 1, Dv), $K'$ (..., T + 1, Dk) and $V'$ (..., T + 1, Dv).
"""

import math

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"o": "query dim", "K": "key dim", "V": "key dim"}


def kv_cache(x, K, V, Wq, Wk, Wv):
    """What the new token attends to, and the cache for the next one.

    x       (..., 1, D)                  the new token
    K, V    (..., T, Dk), (..., T, Dv)   the cache so far
    Wq, Wk  (D, Dk)
    Wv      (D, Dv)

    Returns o (..., 1, Dv), K (..., T + 1, Dk), V (..., T + 1, Dv).
    """
    K = np.concatenate([K, x @ Wk], axis=-2)
    V = np.concatenate([V, x @ Wv], axis=-2)
    S = x @ Wq @ K.swapaxes(-1, -2) / math.sqrt(K.shape[-1])
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    return E / E.sum(axis=-1, keepdims=True) @ V, K, V


def specification(x, K, V, Wq, Wk, Wv):
    """Sequence by sequence, key by key."""
    T = K.shape[-2]
    o = np.zeros((*x.shape[:-1], Wv.shape[1]))
    keys = np.zeros((*K.shape[:-2], T + 1, K.shape[-1]))
    values = np.zeros((*V.shape[:-2], T + 1, V.shape[-1]))
    for b in np.ndindex(x.shape[:-2]):
        token = x[b][0]
        for j in range(T):
            keys[b][j], values[b][j] = K[b][j], V[b][j]
        keys[b][T], values[b][T] = token @ Wk, token @ Wv
        scores = [token @ Wq @ key / math.sqrt(K.shape[-1]) for key in keys[b]]
        weights = [math.exp(s - max(scores)) for s in scores]
        for weight, value in zip(weights, values[b], strict=True):
            o[b][0] += weight / sum(weights) * value
    return o, keys, values


def cases(rng):
    def inputs(T, D, Dk, Dv, *leading):
        past, W = draw(rng, *leading, T + 1, D), [draw(rng, D, n) for n in (Dk, Dk, Dv)]
        keys, values = (np.round(past @ M * 8.0) / 8.0 for M in W[1:])
        return past[..., T:, :], keys[..., :T, :], values[..., :T, :], *W

    x, K, *rest = inputs(3, 2, 4, 1)
    token, *cache = inputs(2, 2, 3, 1, 2)
    return {
        "one token in the cache": inputs(1, 1, 1, 1),
        "every length different": inputs(4, 3, 2, 5),
        "an empty cache": inputs(0, 3, 2, 1),
        "all widths the same": inputs(3, 2, 2, 2),
        "a batch": inputs(2, 4, 3, 1, 2),
        "large scores, in float64": (256.0 * x, 256.0 * K, *rest),
        "sequences far apart, in float64": (np.array([[[256.0]], [[1.0]]]) * token, *cache),
    }


HINTS = (
    "First bring the cache up to date, then attend. The new token may attend to itself.",
    "np.concatenate along the axis of the tokens, −2: the past first. After that it is ordinary "
    "attention with one query and T + 1 keys.",
    "K = concatenate([K, x Wk]), V = concatenate([V, x Wv]); o = softmax(x Wq Kᵀ/√Dk) V. One "
    "query, and it is the last: no mask is needed.",
)

DERIVATION = r"""
**1.** In causal self-attention over all $T + 1$ tokens, the keys and values of the tokens $0 \dots
T - 1$ are $x_j W_k$ and $x_j W_v$. They do not depend on what comes later, so those in the cache
are what a computation from scratch would give.

**2.** The new token stands at position $T$. Its row of the causal mask allows the keys $0 \dots T$,
all of them, its own included. So $xW_k$ and $xW_v$ join the cache first, and no mask is needed. (A
triangle aligned with the upper left corner would leave key 0 alone.)

**3.** The width under the root is that of queries and keys, $d = D_k$, not that of the tokens:

$$ o = \operatorname{softmax}(x W_q K'^\top / \sqrt{D_k})\, V' . $$

**4.** The order in the cache is that of the tokens: the past, then the new one. Returned, $K'$ and
$V'$ are what the next token finds. Each step costs $T + 1$ scores; from scratch it would be
$(T + 1)^2$.
"""


# a softmax over no keys may give 0 or raise
UNSETTLED = {"not itself": "an empty cache"}

MISTAKES = {
    "not itself": (
        2, [
            ("    K = np.con", "    K_old, V_old = K, V\n    K = np.con"),
            ("@ K.swap", "@ K_old.swap"),
            ("@ V, K", "@ V_old, K"),
        ],
        "The query attends to the old cache only. It may attend to itself as well: append first, "
        "then attend.",
    ),
    "upper left": (
        2, "    E = np", "    S = np.where(np.arange(S.shape[-1]) == 0, S, -np.inf)\n    E = np",
        "The query sees key 0 alone, as if the causal triangle started in the upper left corner. "
        "It is the last query, and may attend to every key.",
    ),
    "only itself": (2, "E / E.sum(axis=-1, keepdims=True) @ V", "x @ Wv",
        "The output is the new token's own value: the cache is not attended to."),
    "width of x": (3, "sqrt(K.", "sqrt(x.",
        "The scores are divided by the root of the token's width; it should be √Dk, the width of "
        "queries and keys."),
    "width of V": (3, "sqrt(K.", "sqrt(V.",
        "The scores are divided by √Dv; it should be √Dk, the width of queries and keys."),
    "no scale": (3, " / math.sqrt(K.shape[-1])", "", "The scores lack the factor 1/√Dk."),
    "no shift": (3, " - S.max(axis=-1, keepdims=True)", "",
        "No maximum was subtracted from the scores before exp: large ones overflow."),
    "query not projected": (3, "x @ Wq @", "x @",
        "The token itself was used as the query; it should be x Wq."),
    "query kept": (1, "x @ Wk", "x @ Wq",
        "The projection x Wq was appended to the keys; it should be x Wk."),
    "key kept as value": (1, "x @ Wv", "x @ Wk",
        "The key x Wk was appended to the values as well; it should be x Wv."),
    "token kept": (1, [("x @ Wk", "x"), ("x @ Wv", "x")],
        "The token itself was appended, not its projections x Wk and x Wv."),
    "in front": (4, [("[K, x @ Wk]", "[x @ Wk, K]"), ("[V, x @ Wv]", "[x @ Wv, V]")],
        "The new key and value stand in front of the cache. The output is the same, but the order "
        "of the cache is that of the tokens: append at the end."),
    "old cache": (
        4, [
            ("    K = np.con", "    K_old, V_old = K, V\n    K = np.con"),
            ("@ V, K, V", "@ V, K_old, V_old"),
        ],
        "The old cache was returned: the next token would not find the present one.",
    ),
}
