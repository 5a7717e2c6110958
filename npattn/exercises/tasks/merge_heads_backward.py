r"""d2l 11.5.2, level 2: The backward of merging heads

After attention, the outputs of the $H$ heads are laid side by side, head 0 first:
$(\dots, H, T, D) \to (\dots, T, H \cdot D)$. Find the gradient of the heads' outputs.

    O    (..., H, T, D)   outputs of the heads
    dY   (..., T, H·D)    the gradient with respect to the merged array
    dO   (..., H, T, D)

Merging computes nothing, it moves numbers. What does its backward do?
"""

from npattn.exercises.drawing import draw

ANSWER = {"dO": "head position dim"}


def merge_heads(O):
    """Y (..., T, H·D), and the number of heads for the backward."""
    *lead, H, T, D = O.shape
    return O.swapaxes(-3, -2).reshape(*lead, T, H * D), H


FORWARD = merge_heads


def merge_heads_backward(dY, num_heads):
    """The gradient of the heads' outputs.

    dY         (..., T, H·D)  gradient of the loss with respect to Y
    num_heads  H

    Returns dO (..., H, T, D).
    """
    return dY.reshape(*dY.shape[:-1], num_heads, -1).swapaxes(-3, -2)


def cases(rng):
    return {
        "two heads, two positions": (draw(rng, 2, 2, 2),),
        "two heads, three positions": (draw(rng, 2, 3, 4),),
        "a batch": (draw(rng, 2, 3, 5, 4),),
        "as many heads as positions": (draw(rng, 2, 3, 3, 4),),
    }


HINTS = (
    "Each number of O lands in exactly one place of Y, unchanged. So each number of dY goes back "
    "to one place of dO.",
    "Undo the two steps in reverse: the forward exchanged two axes and then reshaped.",
    "Reshape dY to (..., T, H, D), then exchange T and H: `swapaxes(-3, -2)`.",
)

DERIVATION = r"""
**1.** $y_{t,\,hD+d} = o_{h,t,d}$: every number of $O$ occurs once in $Y$, with the factor 1, so

$$ do_{h,t,d} = dy_{t,\,hD+d} . $$

The Jacobian is a permutation, and the transpose of a permutation is its inverse.

**2.** The forward exchanged the axes $H$ and $T$ and then reshaped $(\dots, T, H, D)$ to $(\dots,
T, H \cdot D)$. Undone in reverse: reshape $dY$ to $(\dots, T, H, D)$, then exchange the axes.
"""


MISTAKES = {
    "no transpose": (
        2,
        "dY.shape[:-1], num_heads, -1).swapaxes(-3, -2)",
        "dY.shape[:-2], num_heads, dY.shape[-2], -1)",
        "dY was reshaped straight to (..., H, T, D). The shape is right, but the numbers of "
        "different positions are mixed. Reshape to (..., T, H, D) and then exchange T and H.",
    ),
    "interleaved": (1, "num_heads, -1)", "-1, num_heads).swapaxes(-1, -2)",
        "Column d·H + h went to head h. The forward put head h into the columns h·D to (h+1)·D − "
        "1, so reshape to (..., T, H, D), not (..., T, D, H)."),
    "heads behind positions": (2, ".swapaxes(-3, -2)", "",
        "The axes T and H were not exchanged back: the result is (..., T, H, D)."),
    "heads swapped with dims": (2, "(-3, -2)", "(-3, -1)",
        "The axes T and D changed places; it should be T and H."),
    "mean": (1, "(-3, -2)", "(-3, -2) / num_heads",
        "The gradient was divided by the number of heads; the forward took no mean over them."),
}
