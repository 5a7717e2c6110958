r"""d2l 11.7.5, level 4: The backward of cross-attention

The decoder reads the encoder's output: queries come from one sequence $X$, keys and values from
another, the memory $M$,

$$ Q = XW_q, \quad K = MW_k, \quad V = MW_v, \qquad
   O = \operatorname{softmax}(QK^\top / \sqrt{D})\, V . $$

Find the gradients of both sequences and of the three weights.

    X    (B, Tq, Dx)   what asks
    M    (B, Tk, Dm)   what is read
    Wq   (Dx, D)       weights of the queries
    Wk   (Dm, D)       weights of the keys
    Wv   (Dm, Dv)      weights of the values
    P    (B, Tq, Tk)   weights of attention
    dO   (B, Tq, Dv)   the gradient with respect to the output

Each gradient is shaped like what it belongs to.
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw, draw_mask
from npattn.exercises.given import masked_softmax
from npattn.exercises.steps import SOFTMAX_BACKWARD, at

ANSWER = {
    "dX": "query dim", "dM": "key dim", "dWq": "in out", "dWk": "in out", "dWv": "in out",
}


class CrossAttentionCache(NamedTuple):
    """What the backward may use."""

    X: np.ndarray   # (B, Tq, Dx)
    M: np.ndarray   # (B, Tk, Dm)
    Wq: np.ndarray  # (Dx, D)
    Wk: np.ndarray  # (Dm, D)
    Wv: np.ndarray  # (Dm, Dv)
    Q: np.ndarray   # (B, Tq, D)
    K: np.ndarray   # (B, Tk, D)
    V: np.ndarray   # (B, Tk, Dv)
    P: np.ndarray   # (B, Tq, Tk)


def cross_attention(X, M, Wq, Wk, Wv, mask=None):
    """O (B, Tq, Dv) and the cache; mask (Tq, Tk) is True where a query may attend."""
    Q, K, V = X @ Wq, M @ Wk, M @ Wv
    P = masked_softmax(Q @ K.swapaxes(-1, -2) / math.sqrt(Q.shape[-1]), mask)
    return P @ V, CrossAttentionCache(X, M, Wq, Wk, Wv, Q, K, V, P)


FORWARD = cross_attention
GIVEN = (masked_softmax, CrossAttentionCache, cross_attention)


def cross_attention_backward(dO, cache):
    """The gradients of both sequences and of the weights.

    dO     (B, Tq, Dv)          gradient of the loss with respect to O
    cache  CrossAttentionCache  as above

    Returns dX (B, Tq, Dx), dM (B, Tk, Dm), dWq (Dx, D), dWk (Dm, D) and dWv (Dm, Dv).
    """
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    # O = P V
    dV = P.swapaxes(-1, -2) @ dO
    dP = dO @ V.swapaxes(-1, -2)
    # P = softmax(S),  S = Q Kᵀ / √D
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True)) / math.sqrt(Q.shape[-1])
    dQ, dK = dS @ K, dS.swapaxes(-1, -2) @ Q
    # Q = X Wq,  K = M Wk,  V = M Wv
    pairs = (X, dQ), (M, dK), (M, dV)
    weights = ((source.swapaxes(-1, -2) @ d).sum(axis=0) for source, d in pairs)
    return dQ @ Wq.T, dK @ Wk.T + dV @ Wv.T, *weights


def cases(rng):
    def inputs(B, Tq, Tk, Dx, Dm, D, Dv, *mask):
        weights = draw(rng, Dx, D), draw(rng, Dm, D), draw(rng, Dm, Dv)
        return (draw(rng, B, Tq, Dx), draw(rng, B, Tk, Dm), *weights, *mask)

    X = draw(rng, 1, 3, 2)
    return {
        "one query, two keys": inputs(1, 1, 2, 1, 1, 1, 1),
        "every length different": inputs(1, 2, 4, 3, 1, 2, 5),
        "a batch, and a query that may attend to nothing": inputs(
            2, 3, 4, 2, 1, 3, 2, draw_mask(rng, 3, 4)
        ),
        "one array on both sides": (X, X, *(draw(rng, 2, 2) for _ in range(3))),
        "everything of one length": inputs(2, 2, 2, 2, 2, 2, 2),
    }


HINTS = (
    "Two sources, two gradients. Which of Q, K and V does a change of X reach, and which a change "
    "of M?",
    "Inside, it is attention's backward: dV, dP, dS, dQ, dK. Then three linear layers, of which "
    "two have the same input.",
    "dX = dQ Wqᵀ; dM = dK Wkᵀ + dV Wvᵀ; dWq = Σ_b X_bᵀ dQ_b, dWk = Σ_b M_bᵀ dK_b, "
    "dWv = Σ_b M_bᵀ dV_b.",
)

DERIVATION = r"""
**1.** $O = PV$ gives $dV = P^\top dO$ and $dP = dO\,V^\top$.

**2.** $P = \operatorname{softmax}(S)$ gives
$dS = P \odot \bigl(dP - \operatorname{rowsum}(dP \odot P)\bigr)$.

**3.** $S = QK^\top / \sqrt D$ gives $dQ = dS\,K / \sqrt D$ and $dK = dS^\top Q / \sqrt D$.

**4.** The queries come from $X$ and from nowhere else; keys and values both come from the memory,
whose gradient collects from both:

$$ dX = dQ\,W_q^\top, \qquad dM = dK\,W_k^\top + dV\,W_v^\top . $$

With one array on both sides these are still two gradients; who hands it in twice adds them, which
gives self-attention. A decoder that attends to the memory in every layer adds a $dM$ from each.

**5.** Each weight pairs the source that it multiplied with the gradient of what it made, and all
sequences of the batch share it:

$$ dW_q = \sum_b X_b^\top dQ_b, \qquad dW_k = \sum_b M_b^\top dK_b, \qquad
   dW_v = \sum_b M_b^\top dV_b . $$
"""


BOTH = "The memory makes keys and values: its gradient is dK Wkᵀ + dV Wvᵀ."

MISTAKES = {
    **at(2, SOFTMAX_BACKWARD),
    "scale left out": (3, " / math.sqrt(Q.shape[-1])", "",
        "The factor 1/√D of the scores is missing in dQ and dK."),
    "dK not scaled": (
        3, [
            (" / math.sqrt(Q.shape[-1])", ""),
            ("dQ, dK = dS @ K,", "dQ, dK = dS @ K / math.sqrt(Q.shape[-1]),"),
        ],
        "The factor 1/√D reached dQ but not dK.",
    ),
    "dQ not scaled": (
        3, [(" / math.sqrt(Q.shape[-1])", ""), ("-2) @ Q", "-2) @ Q / math.sqrt(Q.shape[-1])")],
        "The factor 1/√D reached dK but not dQ.",
    ),
    "scale of X": (3, "sqrt(Q.", "sqrt(X.",
        "The scale is that of the width of X; it should be 1/√D, the width of Q."),
    "dK without transpose": (3, "dS.swapaxes(-1, -2) @ Q", "dS @ Q",
        "dK uses dS, not its transpose. Key j collects from all queries: dSᵀ Q. The other way it "
        "runs only where there are as many queries as keys."),
    "only through values": (4, "dK @ Wk.T + ", "",
        f"dM holds only what goes through the values. {BOTH}"),
    "only through keys": (4, " + dV @ Wv.T", "",
        f"dM holds only what goes through the keys. {BOTH}"),
    "paths averaged": (4, "dK @ Wk.T + dV @ Wv.T", "(dK @ Wk.T + dV @ Wv.T) / 2.0",
        "The two parts of dM were averaged; changes through two uses add up."),
    "one source": (
        4,
        "return dQ @ Wq.T, dK @ Wk.T + dV @ Wv.T",
        "dX = dQ @ Wq.T + dK @ Wk.T + dV @ Wv.T\n    return dX, dX",
        "All three paths were added into one gradient, as in self-attention. Here there are two "
        "sources: dX gets the path through the queries, dM the other two.",
    ),
    "M for X": (5, "(X, dQ)", "(M, dQ)",
        "dWq pairs dQ with the memory; queries are made from X, so it is Xᵀ dQ."),
    "X for M": (5, [("(M, dK)", "(X, dK)"), ("(M, dV)", "(X, dV)")],
        "dWk and dWv pair dK and dV with X; keys and values are made from M, so it is Mᵀ dK."),
    "weights not summed": (5, " @ d).sum(axis=0)", " @ d)",
        "The gradients of the weights have a matrix for each sequence; the batch shares them: "
        "sum."),
    "mean over the batch": (5, "@ d).sum", "@ d).mean",
        "The gradients of the weights are means over the batch. A mean, if there is one, belongs "
        "to the loss and is in dO already."),
}
