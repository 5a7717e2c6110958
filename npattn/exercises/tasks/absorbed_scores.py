r"""beyond d2l, level 3: Scores of latent attention, absorbed

Latent attention keeps one narrow vector $c_j$ for each token in place of keys; the keys of head $h$
would be $k_j = W_h^\top c_j$. The scores need no keys, if the matrix is absorbed into the query:

$$ s_{hij} = \frac{q_{hi} \cdot (W_h^\top c_j)}{\sqrt{D}}
   = \frac{(W_h\, q_{hi}) \cdot c_j}{\sqrt{D}} , $$

where $D$ is the width of one head. Compute the scores. (DeepSeek-V2, 2024.)

    Q   (B, H, Tq, D)    queries of the heads
    W   (H, Dc, D)       makes the keys of each head
    C   (B, Tk, Dc)      latent vectors, the same for all heads
    S   (B, H, Tq, Tk)   scores
"""

import math

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"S": "batch head query key"}


def absorbed_scores(Q, W, C):
    """The scores of all heads, without keys.

    Q  (B, H, Tq, D)  queries
    W  (H, Dc, D)     makes keys
    C  (B, Tk, Dc)    latent vectors

    Returns S (B, H, Tq, Tk).
    """
    absorbed = Q @ W.swapaxes(-1, -2)
    return absorbed @ C[:, None].swapaxes(-1, -2) / math.sqrt(Q.shape[-1])


def specification(Q, W, C):
    """Score by score, with keys."""
    S = np.zeros((*Q.shape[:3], C.shape[1]))
    for b, h, i, j in np.ndindex(S.shape):
        key = [math.fsum(C[b, j] * W[h, :, d]) for d in range(Q.shape[-1])]
        S[b, h, i, j] = math.fsum(Q[b, h, i] * key) / math.sqrt(Q.shape[-1])
    return S


def cases(rng):
    def inputs(B, H, Tq, Tk, Dc, D):
        return draw(rng, B, H, Tq, D), draw(rng, H, Dc, D), draw(rng, B, Tk, Dc)

    return {
        "one head, one query, two keys": inputs(1, 1, 1, 2, 2, 2),
        "two heads, every length different": inputs(1, 2, 3, 5, 4, 6),
        "a batch": inputs(2, 3, 1, 4, 5, 2),
        "everything of one length": inputs(2, 2, 2, 2, 2, 2),
    }


HINTS = (
    "First bring the queries of each head to the width of the latent vectors.",
    "W_h q is (Dc,): for all queries at once Q Wᵀ, head by head. All heads meet the same C.",
    "S = (Q @ W.swapaxes(-1, -2)) @ C[:, None].swapaxes(-1, -2) / √D, D the width of a head.",
)

DERIVATION = r"""
**1.** A product may be bracketed as one likes: $q \cdot (W^\top c) = (W q) \cdot c$. On the left
each token needs a key for each head, on the right only $c_j$.

**2.** For all queries of a head $\tilde Q_h = Q_h W_h^\top$, of the width of the latent vectors.

**3.** The scores are $S_h = \tilde Q_h C^\top / \sqrt D$, with the same $C$ for all heads. The
scale is that of the product that is meant, of the width $D$ of a head, not of the latent vectors.
"""


MISTAKES = {
    "scale left out": (3, " / math.sqrt(Q.shape[-1])", "", "The factor 1/√D is missing."),
    "scale of the latent": (3, "sqrt(Q.shape[-1])", "sqrt(C.shape[-1])",
        "The scale is 1/√Dc, by the width of the latent vectors; it is the width of a head."),
    "scale squared": (3, "math.sqrt(Q.shape[-1])", "Q.shape[-1]",
        "The scores were divided by D; it should be √D."),
    "both widths": (3, "sqrt(Q.shape[-1])", "sqrt(Q.shape[-1] * C.shape[-1])",
        "The scale has both widths; only the width of a head counts."),
    "all heads": (3, "sqrt(Q.shape[-1])", "sqrt(Q.shape[-1] * len(W))",
        "The scale is by the width of all heads together; it is the width of one."),
    "not transposed": (2, "Q @ W.swapaxes(-1, -2)", "Q @ W",
        "The queries were multiplied by W, not by its transpose; it runs only where D = Dc."),
    "first head": (2, "W.swapaxes(-1, -2)", "W[:1].swapaxes(-1, -2)",
        "The matrix of the first head was used for all; each head has its own."),
    "mean of the heads": (2, "W.swapaxes(-1, -2)", "W.mean(axis=0).swapaxes(-1, -2)",
        "The matrices of the heads were averaged; each head has its own."),
    "heads reversed": (2, "W.swapaxes(-1, -2)", "W[::-1].swapaxes(-1, -2)",
        "The heads' matrices are in the wrong order."),
    "first sequence": (3, "C[:, None]", "C[:1, None]",
        "The latent vectors of the first sequence were used for all; each has its own."),
    "softmax": (
        3, "    return absorbed @ C[:, None].swapaxes(-1, -2) / math.sqrt(Q.shape[-1])",
        "    S = absorbed @ C[:, None].swapaxes(-1, -2) / math.sqrt(Q.shape[-1])\n"
        "    E = np.exp(S - S.max(axis=-1, keepdims=True))\n"
        "    return E / E.sum(axis=-1, keepdims=True)",
        "The weights were returned; the scores were asked for."),
}
