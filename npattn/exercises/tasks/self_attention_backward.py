r"""d2l 11.6.1, level 4: The backward of multi-head self-attention

One array $X$ makes queries, keys and values, $H$ heads attend side by side, and a last product
mixes them:

$$ Q = XW_q, \quad K = XW_k, \quad V = XW_v, \qquad
   O_h = \operatorname{softmax}(Q_h K_h^\top / \sqrt{D})\, V_h, \qquad
   Y = [O_1 \dots O_H]\, W_o , $$

where head $h$ takes columns $hD$ to $(h+1)D - 1$, and $D$ is the width of one head. Find the
gradients of $X$ and of the four weights.

    X            (B, T, Dx)     inputs
    Wq, Wk, Wv   (Dx, H·D)      weights
    Wo           (H·D, Dy)
    dY           (B, T, Dy)     the gradient with respect to the output

The heads in the cache are split already: Q, K, V and O are (B, H, T, D), P is (B, H, T, T).
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw, draw_mask
from npattn.exercises.given import masked_softmax
from npattn.exercises.steps import SOFTMAX_BACKWARD, at

ANSWER = {"dX": "position dim", "dWq": "in out", "dWk": "in out", "dWv": "in out", "dWo": "in out"}


class SelfAttentionCache(NamedTuple):
    """What the backward may use."""

    X: np.ndarray   # (B, T, Dx)
    Wq: np.ndarray  # (Dx, H·D)
    Wk: np.ndarray  # (Dx, H·D)
    Wv: np.ndarray  # (Dx, H·D)
    Wo: np.ndarray  # (H·D, Dy)
    Q: np.ndarray   # (B, H, T, D)
    K: np.ndarray   # (B, H, T, D)
    V: np.ndarray   # (B, H, T, D)
    P: np.ndarray   # (B, H, T, T)
    O: np.ndarray   # (B, H, T, D)


def split(X, H):
    """(B, T, H·D) → (B, H, T, D)"""
    return X.reshape(*X.shape[:2], H, -1).swapaxes(1, 2)


def merge(X):
    """(B, H, T, D) → (B, T, H·D)"""
    B, H, T, D = X.shape
    return X.swapaxes(1, 2).reshape(B, T, H * D)


def self_attention(X, Wq, Wk, Wv, Wo, H, mask=None):
    """Y (B, T, Dy) and the cache; mask (T, T) is True where a query may attend."""
    Q, K, V = split(X @ Wq, H), split(X @ Wk, H), split(X @ Wv, H)
    P = masked_softmax(Q @ K.swapaxes(-1, -2) / math.sqrt(Q.shape[-1]), mask)
    O = P @ V
    return merge(O) @ Wo, SelfAttentionCache(X, Wq, Wk, Wv, Wo, Q, K, V, P, O)


FORWARD = self_attention
GIVEN = (masked_softmax, SelfAttentionCache, split, merge, self_attention)


def self_attention_backward(dY, cache):
    """The gradients of the input and of the four weights.

    dY     (B, T, Dy)           gradient of the loss with respect to Y
    cache  SelfAttentionCache   as above

    Returns dX (B, T, Dx), dWq, dWk, dWv (Dx, H·D) and dWo (H·D, Dy).
    """
    X, Wq, Wk, Wv, Wo, Q, K, V, P, O = cache
    # Y = merge(O) Wo
    dWo = np.einsum("bti,bto->io", merge(O), dY)
    dO = split(dY @ Wo.T, P.shape[1])
    # O = P V
    dV = P.swapaxes(-1, -2) @ dO
    dP = dO @ V.swapaxes(-1, -2)
    # P = softmax(S),  S = Q Kᵀ / √D
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True)) / math.sqrt(Q.shape[-1])
    dQ, dK, dV = merge(dS @ K), merge(dS.swapaxes(-1, -2) @ Q), merge(dV)
    # Q = X Wq,  K = X Wk,  V = X Wv
    dX = dQ @ Wq.T + dK @ Wk.T + dV @ Wv.T
    dWq, dWk, dWv = (np.einsum("bti,bto->io", X, d) for d in (dQ, dK, dV))
    return dX, dWq, dWk, dWv, dWo


def cases(rng):
    def inputs(B, T, Dx, width, Dy, *options):
        weights = (draw(rng, Dx, width) for _ in range(3))
        return (draw(rng, B, T, Dx), *weights, draw(rng, width, Dy), *options)

    return {
        "two positions, one head": inputs(1, 2, 1, 1, 1, 1),
        "two heads, every length different": inputs(1, 3, 2, 4, 1, 2),
        "a batch, and a query that may attend to nothing": inputs(
            2, 3, 1, 4, 2, 2, draw_mask(rng, 3, 3)
        ),
        "all widths equal": inputs(1, 2, 4, 4, 4, 2),
        "everything of one length": inputs(2, 2, 2, 2, 2, 1),
    }


HINTS = (
    "Go backwards line by line: the output product, merge, attention in each head, split, and the "
    "three products. You know the backward of each; the backward of split is merge, and of merge, "
    "split.",
    "X is used three times. What a value is used for several times, its gradient collects from "
    "every use: dX is a sum of three terms.",
    "dO = split(dY Woᵀ); attention's backward in each head; dQ, dK, dV merged; "
    "dX = dQ Wqᵀ + dK Wkᵀ + dV Wvᵀ; dWq = Σ_b X_bᵀ dQ_b, and so on.",
)

DERIVATION = r"""
**1.** $Y = MW_o$ with the merged heads $M$ is a linear layer: $dM = dY\,W_o^\top$, and
$dW_o = \sum_b M_b^\top dY_b$ collects from the whole batch.

**2.** Merging moves numbers, and its backward moves them back: $dO = \operatorname{split}(dM)$.

**3.** In each head, $dV = P^\top dO$ and $dP = dO\,V^\top$; through the softmax,
$dS = P \odot (dP - \operatorname{rowsum}(dP \odot P))$; and with the width $D$ of *one head*,

$$ dQ = dS\,K / \sqrt D, \qquad dK = dS^\top Q / \sqrt D . $$

**4.** Splitting is undone by merging, with the exchange of axes: $dQ, dK, dV$ become
$(B, T, H \cdot D)$.

**5.** $X$ takes three roles. A small change of $X$ moves the loss through all of them, and the
changes add:

$$ dX = dQ\,W_q^\top + dK\,W_k^\top + dV\,W_v^\top, \qquad
   dW_q = \sum_b X_b^\top dQ_b , \text{ and likewise for } k, v . $$
"""


PATHS = {"queries": "dQ @ Wq.T", "keys": "dK @ Wk.T", "values": "dV @ Wv.T"}
ALL = " + ".join(PATHS.values())
THREE = "X makes queries, keys and values: its gradient is dQ Wqᵀ + dK Wkᵀ + dV Wvᵀ."

MISTAKES = {
    **at(3, SOFTMAX_BACKWARD),
    **{f"only through {role}": (5, ALL, path,
        f"dX holds only what goes through the {role}. {THREE}") for role, path in PATHS.items()},
    **{f"not through {role}": (5, path, f"0.0 * ({path})",
        f"dX lacks what goes through the {role}. {THREE}") for role, path in PATHS.items()},
    "paths averaged": (5, [("dX = dQ", "dX = (dQ"), ("dV @ Wv.T", "dV @ Wv.T) / 3.0")],
        "The three parts of dX were averaged; changes through three uses add up."),
    "merged without transpose": (
        4, [
            ("merge(dS @", "(dS @"),
            ("@ K),", "@ K).reshape(*X.shape[:2], -1),"),
            ("merge(dS.swap", "(dS.swap"),
            ("-2) @ Q),", "-2) @ Q).reshape(*X.shape[:2], -1),"),
            ("merge(dV)", "dV.reshape(*X.shape[:2], -1)"),
        ],
        "dQ, dK and dV were reshaped from (B, H, T, D) to (B, T, H·D) without first exchanging H "
        "and T: the shape is right, but heads and positions are mixed.",
    ),
    "split without transpose": (2, "split(dY @ Wo.T, P.shape[1])", "(dY @ Wo.T).reshape(O.shape)",
        "The gradient of the merged heads was reshaped straight to (B, H, T, D). Reshape to (B, T, "
        "H, D), then exchange T and H."),
    "scale left out": (3, " / math.sqrt(Q.shape[-1])", "",
        "The factor 1/√D of the scores is missing in dQ and dK."),
    "scale of the whole width": (3, "sqrt(Q.shape[-1])", "sqrt(Wq.shape[1])",
        "The scale is 1/√(H·D), by the whole width; it should be 1/√D, by the width of one head."),
    "dK without transpose": (3, "dS.swapaxes(-1, -2) @ Q", "dS @ Q",
        "dK uses dS, not its transpose. Key j collects from all queries: dSᵀ Q."),
    "weights not summed": (5, [('->io", X', '->bio", X'), ('->io", merge', '->bio", merge')],
        "The gradients of the weights have a matrix for each sequence; the batch shares them: "
        "sum."),
    "mean over the batch": (5, [("X, d)", "X, d) / len(X)"), ("(O), dY)", "(O), dY) / len(X)")],
        "The gradients of the weights are means over the batch. A mean, if there is one, belongs "
        "to the loss and is in dY already."),
    "O not merged": (
        1,
        "\"bti,bto->io\", merge(O), dY)",
        "\"bti,bto->io\", O.reshape(*X.shape[:2], -1), dY)",
        "In dWo, O was reshaped straight to (B, T, H·D); heads and positions must be exchanged "
        "first.",
    ),
}
