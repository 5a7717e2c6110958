r"""beyond d2l, level 2: The backward of rotary positions

Rotary positions turn each pair of columns of queries and keys by an angle that grows with the
position, so that their product depends on the distance only:

$$ \begin{pmatrix} y_{2i} \\ y_{2i+1} \end{pmatrix}
 = \begin{pmatrix} \cos\theta & -\sin\theta \\ \sin\theta & \cos\theta \end{pmatrix}
   \begin{pmatrix} x_{2i} \\ x_{2i+1} \end{pmatrix}, \qquad \theta = t \cdot 10000^{-2i/D} . $$

Find the gradient of the inputs.

    X     (..., T, D)   queries or keys, D even
    cos   (T, D/2)      cos θ for each position and pair
    sin   (T, D/2)      sin θ
    dY    (..., T, D)   the gradient with respect to Y
    dX    (..., T, D)
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"dX": "position dim"}


class RotaryCache(NamedTuple):
    """What the backward may use."""

    cos: np.ndarray  # (T, D/2)
    sin: np.ndarray  # (T, D/2)


def rotary(X, offset):
    """Y (..., T, D) and the cache."""
    T, D = X.shape[-2:]
    angle = np.arange(offset, offset + T)[:, None] / 10000.0 ** (np.arange(0, D, 2) / D)
    cos, sin = np.cos(angle).astype(X.real.dtype), np.sin(angle).astype(X.real.dtype)
    Y = np.empty_like(X)
    Y[..., 0::2] = X[..., 0::2] * cos - X[..., 1::2] * sin
    Y[..., 1::2] = X[..., 0::2] * sin + X[..., 1::2] * cos
    return Y, RotaryCache(cos, sin)


FORWARD = rotary
GIVEN = (RotaryCache, rotary)


def rotary_backward(dY, cache):
    """The gradient of the inputs.

    dY     (..., T, D)  gradient of the loss with respect to Y
    cache  RotaryCache  cos and sin as above

    Returns dX (..., T, D).
    """
    cos, sin = cache
    dX = np.empty_like(dY)
    dX[..., 0::2] = dY[..., 0::2] * cos + dY[..., 1::2] * sin
    dX[..., 1::2] = dY[..., 1::2] * cos - dY[..., 0::2] * sin
    return dX


def cases(rng):
    return {
        "one pair at positions 1 and 2": (draw(rng, 2, 2), 1),
        "two pairs": (draw(rng, 3, 4), 0),
        "later positions": (draw(rng, 2, 6), int(rng.integers(2, 9))),
        "batch and heads": (draw(rng, 2, 3, 4, 6), 0),
    }


HINTS = (
    "The forward is linear in X: y = R x for each pair, with a matrix R of two rows. What is the "
    "backward of a matrix product?",
    "dx = Rᵀ dy. What is the transpose of a rotation?",
    "Turn dY by −θ: dx_2i = dy_2i cos θ + dy_2i+1 sin θ, and dx_2i+1 = dy_2i+1 cos θ − dy_2i sin "
    "θ.",
)

DERIVATION = r"""
**1.** For each position and pair, $y = R_\theta\, x$ with a rotation $R_\theta$ that does not
depend on $x$.

**2.** The backward of $y = Rx$ is $dx = R^\top dy$. The transpose of a rotation is the rotation
back:

$$ R_\theta^\top = \begin{pmatrix} \cos\theta & \sin\theta \\ -\sin\theta & \cos\theta \end{pmatrix}
   = R_{-\theta} . $$

**3.** Written out,

$$ dx_{2i} = \cos\theta\, dy_{2i} + \sin\theta\, dy_{2i+1}, \qquad
   dx_{2i+1} = -\sin\theta\, dy_{2i} + \cos\theta\, dy_{2i+1} . $$

**4.** Pairs are neighbouring columns, and each result goes back to where it came from. (Some codes
pair column $i$ with $i + D/2$; that is another forward.) Rotating keeps lengths, so rotary
positions neither blow gradients up nor shrink them.
"""


MISTAKES = {
    "turned on": (2, [("cos + dY", "cos - dY"), ("cos - dY", "cos + dY")],
        "dY was turned the same way as X in the forward. The transpose of a rotation is the "
        "rotation back: −θ."),
    "cosine only": (3, [(" + dY[..., 1::2] * sin", ""), (" - dY[..., 0::2] * sin", "")],
        "Only the cosine terms are there. Each entry of a pair also acts on the other, by the "
        "sine."),
    "both plus": (3, "cos - dY", "cos + dY",
        "Both sine terms are added; that of the second entry of a pair has a minus sign."),
    "both minus": (3, "cos + dY", "cos - dY",
        "Both sine terms are subtracted; that of the first entry of a pair has a plus sign."),
    "reflected": (
        3, "dY[..., 1::2] * cos - dY[..., 0::2] * sin", "dY[..., 0::2] * sin - dY[..., 1::2] * cos",
        "The second entry of each pair has the wrong sign: this is a reflection, not a rotation.",
    ),
    "sine and cosine": (3, "cos, sin = cache", "sin, cos = cache",
        "Sine and cosine are exchanged."),
    "partner forgotten": (
        3, [("+ dY[..., 1::2]", "+ dY[..., 0::2]"), ("- dY[..., 0::2]", "- dY[..., 1::2]")],
        "The sine terms multiply the entry itself; they belong to the other entry of the pair.",
    ),
    "halves": (
        4,
        "    dX[..., 0::2] = dY[..., 0::2] * cos + dY[..., 1::2] * sin\n"
        "    dX[..., 1::2] = dY[..., 1::2] * cos - dY[..., 0::2] * sin",
        "    a, b = np.split(dY, 2, axis=-1)\n"
        "    dX = np.concatenate([a * cos + b * sin, b * cos - a * sin], axis=-1)",
        "Column i was paired with column i + D/2; here the pairs are neighbours, 2i and 2i + 1.",
    ),
    "stacked": (4, "return dX", "return np.concatenate([dX[..., 0::2], dX[..., 1::2]], axis=-1)",
        "The first entries of all pairs come first, then all second ones. Each belongs back in its "
        "own column."),
    "twice": (
        2,
        "cos, sin = cache",
        "cos, sin = cache\n    cos, sin = cos * cos - sin * sin, 2.0 * sin * cos",
        "dY was turned by twice the angle.",
    ),
    "angles from position 0": (
        1,
        "cos, sin = cache",
        "cos, sin = cache\n    turn = np.outer(np.arange(dY.shape[-2]), 10000.0 ** "
        "(-np.arange(0, dY.shape[-1], 2) / dY.shape[-1]))\n    cos, sin = "
        "np.cos(turn).astype(dY.dtype), np.sin(turn).astype(dY.dtype)",
        "The angles were made anew, from position 0; the first token stands at the offset. The "
        "cache has the right ones.",
    ),
}
