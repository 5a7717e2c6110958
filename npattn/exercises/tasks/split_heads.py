r"""d2l 11.5.2, level 1: Splitting into heads

Multi-head attention makes one wide array and deals its columns out to $H$ heads: head $h$ takes the
$D$ columns from $hD$ to $(h+1)D - 1$, at every position.

    X   (..., T, H·D)      `...` stands for any leading axes, also none
    Y   (..., H, T, D)     Y[..., h, t, d] = X[..., t, h·D + d]
"""

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"Y": "head position dim"}


def split_heads(X, num_heads):
    """The columns of X, dealt out to the heads.

    X          (..., T, H·D)
    num_heads  H

    Returns Y (..., H, T, D).
    """
    return X.reshape(*X.shape[:-1], num_heads, -1).swapaxes(-3, -2)


def specification(X, num_heads):
    """Number by number."""
    *lead, T, width = X.shape
    D = width // num_heads
    Y = np.zeros((*lead, num_heads, T, D))
    for *batch, h, t, d in np.ndindex(Y.shape):
        Y[(*batch, h, t, d)] = X[(*batch, t, h * D + d)]
    return Y


def cases(rng):
    return {
        "two positions, two heads of width two": (draw(rng, 2, 4), 2),
        "three positions, two heads": (draw(rng, 3, 8), 2),
        "a batch": (draw(rng, 2, 5, 12), 3),
        "two leading axes": (draw(rng, 2, 3, 2, 20), 5),
        "as many heads as positions": (draw(rng, 3, 3, 12), 3),
    }


HINTS = (
    "Two steps: first cut the last axis in two, which moves no number; then exchange two axes.",
    "A reshape to (..., T, H, D) cuts each row into H pieces of D columns.",
    "`X.reshape(*X.shape[:-1], num_heads, -1).swapaxes(-3, -2)`.",
)

DERIVATION = r"""
**1.** In memory a row of $X$ is $H$ pieces of $D$ numbers, one after the other. Reshaping to
$(\dots, T, H, D)$ names the pieces and moves nothing: column $hD + d$ becomes the index $(h, d)$.

**2.** Heads shall come before positions, so that each head is a matrix $(T, D)$ of its own. That is
an exchange of the axes $T$ and $H$, which does move numbers: $(\dots, H, T, D)$.

A reshape straight to $(\dots, H, T, D)$ has the right shape and the wrong numbers: head 0 would get
all columns of the first positions.
"""


MISTAKES = {
    "no transpose": (
        2,
        "X.shape[:-1], num_heads, -1).swapaxes(-3, -2)",
        "X.shape[:-2], num_heads, X.shape[-2], -1)",
        "The array was reshaped straight to (..., H, T, D). The shape is right, but positions are "
        "mixed: head 0 holds all columns of the first positions. Reshape to (..., T, H, D) and "
        "then exchange T and H.",
    ),
    "interleaved": (1, "num_heads, -1)", "-1, num_heads).swapaxes(-1, -2)",
        "Column d·H + h went to head h: neighbouring columns land in different heads. Head h takes "
        "the columns h·D to (h+1)·D − 1, so reshape to (..., T, H, D), not (..., T, D, H)."),
    "heads behind positions": (2, ".swapaxes(-3, -2)", "",
        "The axes T and H were not exchanged: the result is (..., T, H, D)."),
    "positions behind dims": (2, "swapaxes(-3, -2)", "swapaxes(-3, -2).swapaxes(-1, -2)",
        "The last two axes are exchanged, too: the result is (..., H, D, T)."),
    "all axes reversed": (2, "swapaxes(-3, -2)", "T",
        "`.T` reverses all axes; only T and H change places."),
    "heads first": (2, [("return X", "return np.moveaxis(X"), (".swapaxes(-3, -2)", ", -2, 0)")],
        "The head axis went in front of the batch axes; it belongs just before the positions."),
}
