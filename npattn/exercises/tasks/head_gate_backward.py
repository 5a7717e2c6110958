r"""d2l 11.5.4, level 3: How important is a head

Put a gate in front of each head's contribution,

$$ Y = \sum_h g_h\, O_h\, W_h , $$

where $W_h$ are the rows of $W_o$ that belong to head $h$, rows $hD$ to $(h+1)D - 1$. With all gates
at 1 this is multi-head attention; a gate at 0 removes its head. The gradient of a gate says,
without removing anything, how much the loss would feel it: it is the usual measure of a head's
importance (Michel, Levy and Neubig 2019). Find the gradients of gates and heads. Exercise 2 of d2l
11.5; also 10.5 in the Chinese edition.

    O    (B, H, T, D)   outputs of the heads
    g    (H,)           gates
    Wo   (H·D, Dy)      the output product
    dY   (B, T, Dy)     the gradient with respect to the output
    dO   (B, H, T, D)
    dg   (H,)           one number for each head, over the whole batch
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"dO": "head position dim", "dg": "head"}


class GateCache(NamedTuple):
    """What the backward may use."""

    O: np.ndarray   # (B, H, T, D)
    g: np.ndarray   # (H,)
    Wo: np.ndarray  # (H·D, Dy)


def gated_heads(O, g, Wo):
    """Y (B, T, Dy) and the cache."""
    B, H, T, D = O.shape
    gated = g[:, None, None] * O
    return gated.swapaxes(1, 2).reshape(B, T, H * D) @ Wo, GateCache(O, g, Wo)


FORWARD = gated_heads
GIVEN = (GateCache, gated_heads)


def head_gate_backward(dY, cache):
    """The gradients of heads and gates.

    dY     (B, T, Dy)  gradient of the loss with respect to Y
    cache  GateCache   as above

    Returns dO (B, H, T, D) and dg (H,).
    """
    O, g, Wo = cache
    B, H, T, D = O.shape
    dG = (dY @ Wo.T).reshape(B, T, H, D).swapaxes(1, 2)  # of g ⊙ O
    return g[:, None, None] * dG, (O * dG).sum(axis=(0, 2, 3))


def specification(dY, cache):
    """Head by head: Y = Σ_h g_h O_h W_h."""
    O, g, Wo = cache
    B, H, T, D = O.shape
    dO, dg = np.zeros_like(O), np.zeros_like(g)
    for h in range(H):
        W = Wo[h * D : (h + 1) * D]
        for b in range(B):
            dO[b, h] = g[h] * dY[b] @ W.T
            dg[h] += ((O[b, h] @ W) * dY[b]).sum()
    return dO, dg


def cases(rng):
    def inputs(B, H, T, D, Dy):
        return draw(rng, B, H, T, D), draw(rng, H), draw(rng, H * D, Dy)

    return {
        "two heads of one number": inputs(1, 2, 1, 1, 1),
        "every length different": inputs(2, 3, 4, 1, 5),
        "everything of one length": inputs(2, 2, 2, 2, 4),
        "many sequences, which pull both ways": inputs(9, 2, 1, 1, 1),
        "all gates open": (draw(rng, 1, 3, 2, 3), np.ones(3), draw(rng, 9, 2)),
        "a gate that is shut": (
            draw(rng, 2, 2, 3, 2), np.array([0.0, 1.0]), draw(rng, 4, 3),
        ),
    }


HINTS = (
    "Name what goes into the output product: G = g ⊙ O, merged. Find its gradient first, still in "
    "the shape of the heads.",
    "dG = split(dY Woᵀ), (B, H, T, D). G_h = g_h O_h is a product: each factor's gradient has the "
    "other one.",
    "dO_h = g_h dG_h; dg_h = Σ over batch, positions and dims of O_h dG_h.",
)

DERIVATION = r"""
**1.** $Y$ is a linear layer on the merged heads: their gradient is $dY\, W_o^\top$, (B, T, H·D).

**2.** Merging moves numbers, and its backward moves them back: reshape to (B, T, H, D), then
exchange positions and heads. Call it $dG$, the gradient of $G_h = g_h O_h$.

**3.** Each factor's gradient has the other one: $dO_h = g_h\, dG_h$.

**4.** One gate serves all sequences, positions and numbers of its head, so it collects from all:

$$ dg_h = \sum_{b, t, c} O_{bhtc}\; dG_{bhtc} . $$

At $g = 1$ this is the change of the loss, to first order, per change of the gate: removing the head
changes the loss by about $-dg_h$. The gate's own value is not in it, so a head that is shut can
still ask to be opened. Over many batches people average $|dg_h|$, with the absolute value taken of
the sum of each example, so that contributions of either sign do not cancel between examples.
"""


MISTAKES = {
    "split without transpose": (2, "(B, T, H, D).swapaxes(1, 2)", "(B, H, T, D)",
        "The gradient of the merged heads was reshaped straight to (B, H, T, D). Reshape to (B, T, "
        "H, D), then exchange positions and heads."),
    "heads interleaved": (2, "(B, T, H, D).swapaxes(1, 2)", "(B, T, D, H).transpose(0, 3, 1, 2)",
        "The last axis was cut as (D, H); heads lie side by side, so cut it as (H, D)."),
    "gate not in dO": (3, "g[:, None, None] * dG", "dG",
        "dO lacks the factor g of its head: G = g ⊙ O."),
    "gate in dg": (4, "(O * dG)", "(O * dG * g[:, None, None])",
        "dg has a factor g: the gated output was used. The derivative of g O with respect to g is "
        "O as it comes from the head. With all gates at 1 one does not see it."),
    "only dG": (4, "(O * dG)", "dG", "dg is a sum of dG alone; the factor O is missing."),
    "only O": (4, "(O * dG)", "O",
        "dg is a sum of O alone; the factor dG is missing, so the loss does not matter."),
    "absolute values": (4, "(O * dG)", "np.abs(O * dG)",
        "Absolute values were taken before the sum. A gate's gradient may cancel within a head."),
    "absolute value of each sequence": (
        4, "(O * dG).sum(axis=(0, 2, 3))", "np.abs((O * dG).sum(axis=(2, 3))).sum(axis=0)",
        "The absolute value was taken for each sequence, as people do for importance; asked for is "
        "the gradient itself.",
    ),
    "absolute value": (4, "(O * dG).sum(axis=(0, 2, 3))", "np.abs((O * dG).sum(axis=(0, 2, 3)))",
        "The absolute value was taken in the end; asked for is the gradient itself, with its "
        "sign."),
    "squares": (4, "(O * dG)", "((O * dG) ** 2)",
        "The products were squared before they were summed."),
    "mean": (4, "dG).sum", "dG).mean",
        "A mean was taken over batch, positions and dims; the gate collects a sum."),
    "mean over the batch": (4, "(0, 2, 3))", "(0, 2, 3)) / B",
        "dg is a mean over the batch. A mean, if there is one, belongs to the loss and is in dY "
        "already."),
    "for each position": (4, "(0, 2, 3)", "(0, 3)",
        "dg has a number for each position; the gate serves them all: sum."),
    "for each sequence": (4, "(0, 2, 3)", "(2, 3)",
        "dg has a number for each sequence; the gate serves them all: sum."),
}
