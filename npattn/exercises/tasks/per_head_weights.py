r"""d2l 11.5.4, level 2: The weights of each head

To see what each head attends to, compute its weights. Queries and keys are projected once and cut
into $H$ heads; head $h$ has the columns $hD$ to $(h+1)D - 1$, where $D$ is the width of one head:

$$ Q = X W_q, \quad K = X W_k, \qquad P_h = \operatorname{softmax}\bigl( Q_h K_h^\top / \sqrt D
   \bigr) . $$

Exercise 1 of d2l 11.5 (Chinese edition: 10.5) asks for pictures of them.

    X      (B, T, Dx)     inputs
    Wq     (Dx, H·D)      weights of the queries
    Wk     (Dx, H·D)      weights of the keys
    H      number         of heads
    mask   (T, T)         or None; True where a query may attend
    P      (B, H, T, T)   weights; a query that may attend to nothing has 0
"""

import math

import numpy as np

from npattn.exercises.drawing import draw, draw_mask
from npattn.exercises.given import masked_softmax

ANSWER = {"P": "head query key"}


def per_head_weights(X, Wq, Wk, H, mask):
    """What each head attends to.

    X       (B, T, Dx)      inputs
    Wq, Wk  (Dx, H·D)       weights of queries and keys
    H       number          of heads
    mask    (T, T) or None  True where a query may attend

    Returns P (B, H, T, T).
    """
    B, T, _ = X.shape
    Q, K = ((X @ W).reshape(B, T, H, -1).swapaxes(1, 2) for W in (Wq, Wk))
    return masked_softmax(Q @ K.swapaxes(-1, -2) / math.sqrt(Q.shape[-1]), mask)


def specification(X, Wq, Wk, H, mask):
    """Head by head, query by query, with the columns of that head cut out."""
    (B, T, _), D = X.shape, Wq.shape[1] // H
    P = np.zeros((B, H, T, T))
    for b, h, i in np.ndindex(B, H, T):
        columns = slice(h * D, (h + 1) * D)
        q = X[b, i] @ Wq[:, columns]
        allowed = [j for j in range(T) if mask is None or mask[i, j]]
        scores = [q @ (X[b, j] @ Wk[:, columns]) / math.sqrt(D) for j in allowed]
        powers = [math.exp(s - max(scores)) for s in scores]
        for j, power in zip(allowed, powers, strict=True):
            P[b, h, i, j] = power / sum(powers)
    return P


def cases(rng):
    def inputs(B, T, Dx, H, D, mask=None):
        return draw(rng, B, T, Dx), draw(rng, Dx, H * D), draw(rng, Dx, H * D), H, mask

    X, *rest = inputs(2, 4, 3, 2, 3)
    first = np.arange(4) == 0
    return {
        "two positions, two heads of one number": inputs(1, 2, 1, 2, 1),
        "every length different": inputs(2, 5, 4, 3, 2),
        "a query that may attend to nothing": inputs(2, 4, 3, 2, 3, draw_mask(rng, 4, 4)),
        "as many heads as positions": inputs(1, 3, 2, 3, 3),
        "everything of one length": inputs(2, 2, 2, 2, 2),
        "one head": inputs(1, 3, 2, 1, 4),
        "one position": inputs(2, 1, 3, 2, 2),
        "a mask that allows everything": inputs(1, 3, 2, 2, 1, np.ones((3, 3), bool)),
        "large scores, in float64": (256.0 * X, *rest),
        "padding that is large, in float64": (
            np.where(first[:, None], 1024.0, X), *rest[:-1], np.tile(~first, (4, 1))),
    }


HINTS = (
    "The columns of one head lie side by side. Which reshape makes an axis of heads out of the "
    "last axis without moving a number?",
    "(B, T, H·D) → (B, T, H, D) by reshape; then exchange the axes of positions and heads, so that "
    "the product runs over positions in each head.",
    "Q = (X @ Wq).reshape(B, T, H, D).swapaxes(1, 2), K likewise; "
    "P = softmax(Q @ K.swapaxes(-1, -2)/√D), with −inf where the mask is False.",
)

DERIVATION = r"""
**1.** Queries and keys are $X W_q$ and $X W_k$, (B, T, H·D).

**2.** Head $h$ has the columns $hD \dots (h+1)D - 1$, so the last axis is cut into $(H, D)$, heads
first. Only then are heads and positions exchanged, to (B, H, T, D). A reshape straight to
(B, H, T, D) would put *positions* apart: the numbers of the first $T/H$ positions would become the
first head.

**3.** Each head has scores of its own, divided by the square root of *its* width $D$:
$S_h = Q_h K_h^\top / \sqrt D$.

**4.** The mask holds for all heads and comes before the softmax, which runs over the keys: each row
of each head sums to 1. Heads are not averaged; what one head does is lost in the mean.
"""


MISTAKES = {
    "X not projected": (1, "(X @ W).", "X.",
        "The inputs were cut into heads without the weights Wq and Wk."),
    "queries as keys": (1, "(Wq, Wk))", "(Wq, Wq))", "The keys were made with Wq; they are X Wk."),
    "split without transpose": (2, "(B, T, H, -1).swapaxes(1, 2)", "(B, H, T, -1)",
        "The last axis was reshaped straight to (B, H, T, D): that cuts the positions apart, not "
        "the columns. Reshape to (B, T, H, D), then exchange T and H."),
    "heads interleaved": (2, "(B, T, H, -1).swapaxes(1, 2)", "(B, T, -1, H).transpose(0, 3, 1, 2)",
        "The last axis was cut as (D, H), so that head h has every H-th column; it has D columns "
        "side by side: cut it as (H, D)."),
    "scale left out": (3, " / math.sqrt(Q.shape[-1])", "",
        "The factor 1/√D is missing in the scores."),
    "scale of the whole width": (3, "Q.shape[-1]", "Wq.shape[1]",
        "The scale is 1/√(H·D), by the whole width; it is the width of one head that counts."),
    "scale of the inputs": (3, "Q.shape[-1]", "X.shape[-1]",
        "The scale is 1/√Dx, by the width of the inputs; it should be 1/√D."),
    "keys by queries": (3, "Q @ K.swap", "K @ Q.swap",
        "The scores were made as K Qᵀ: rows are keys, where rows should be queries."),
    "heads added": (
        4, [
            ("return masked_softmax(Q", "S = (Q"),
            ("[-1]), mask)",
             "[-1])).mean(axis=1, keepdims=True)\n"
             "    return masked_softmax(np.repeat(S, H, axis=1), mask)"),
        ],
        "The heads' scores were averaged before the softmax; each head has its own.",
    ),
    "mask ignored": (4, "[-1]), mask)", "[-1]))", "The mask was not used."),
    "polarity": (4, "[-1]), mask)", "[-1]), None if mask is None else ~mask)",
        "The mask was taken the other way round: True means may attend."),
    "mask after the softmax": (4, "[-1]), mask)", "[-1])) * (True if mask is None else mask)",
        "The mask was applied after the softmax: the weights that are left do not sum to 1."),
    "finite mask": (
        4, [
            ("softmax(Q @", "softmax(np.where(True if mask is None else mask, Q @"),
            ("[-1]), mask)", "[-1]), -1e9))"),
        ],
        "A large negative number stands in for −∞: a query that may attend to nothing gets uniform "
        "weights; they should be 0.",
    ),
    "over the queries": (
        4, [
            ("Q @ K.swap", "K @ Q.swap"),
            ("[-1]), mask)", "[-1]), None if mask is None else mask.T).swapaxes(-1, -2)"),
        ],
        "The softmax runs over the queries; each query's weights sum to 1.",
    ),
    "mean of the heads": (4, "[-1]), mask)", "[-1]), mask).mean(axis=1)",
        "The heads were averaged; the weights of each were asked for."),
    "heads first": (2, "[-1]), mask)", "[-1]), mask).swapaxes(0, 1)",
        "The result is (H, B, T, T): batch and heads have changed places."),
    "heads in the batch": (2, "[-1]), mask)", "[-1]), mask).reshape(B * H, T, T)",
        "Batch and heads were left in one axis, B·H; give each its own."),
}
