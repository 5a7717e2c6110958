r"""beyond d2l, level 3: The backward of rotary positions, halves

Many models pair column $i$ not with its neighbour but with column $i + D/2$, so that the two
entries of a pair lie in the two halves of the row:

$$ \begin{pmatrix} y_{i} \\ y_{i+D/2} \end{pmatrix}
 = \begin{pmatrix} \cos\theta & -\sin\theta \\ \sin\theta & \cos\theta \end{pmatrix}
   \begin{pmatrix} x_{i} \\ x_{i+D/2} \end{pmatrix}, \qquad \theta = t \cdot 10000^{-2i/D} . $$

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


def rotary_halves(X, offset):
    """Y (..., T, D) and the cache."""
    T, D = X.shape[-2:]
    angle = np.arange(offset, offset + T)[:, None] / 10000.0 ** (np.arange(0, D, 2) / D)
    cos, sin = np.cos(angle).astype(X.real.dtype), np.sin(angle).astype(X.real.dtype)
    X1, X2 = X[..., : D // 2], X[..., D // 2 :]
    Y = np.concatenate([X1 * cos - X2 * sin, X1 * sin + X2 * cos], axis=-1)
    return Y, RotaryCache(cos, sin)


FORWARD = rotary_halves
GIVEN = (RotaryCache, rotary_halves)


def rotary_halves_backward(dY, cache):
    """The gradient of the inputs.

    dY     (..., T, D)  gradient of the loss with respect to Y
    cache  RotaryCache  cos and sin as above

    Returns dX (..., T, D).
    """
    cos, sin = cache
    half = cos.shape[-1]
    d1, d2 = dY[..., :half], dY[..., half:]
    return np.concatenate([d1 * cos + d2 * sin, d2 * cos - d1 * sin], axis=-1)


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
    "dx = Rᵀ dy, and the transpose of a rotation is the rotation back. Where are the two entries "
    "of a pair?",
    "With the halves d₁ and d₂ of dY: dX = [d₁ cos θ + d₂ sin θ, d₂ cos θ − d₁ sin θ].",
)

DERIVATION = r"""
**1.** For each position and pair, $y = R_\theta\, x$ with a rotation $R_\theta$ that does not
depend on $x$.

**2.** The backward of $y = Rx$ is $dx = R^\top dy$, and $R_\theta^\top = R_{-\theta}$.

**3.** The pairs are $(i, i + D/2)$, so with the halves of the row

$$ dx_1 = \cos\theta\, dy_1 + \sin\theta\, dy_2, \qquad
   dx_2 = -\sin\theta\, dy_1 + \cos\theta\, dy_2 . $$
"""


MISTAKES = {
    "turned on": (2, [("+ d2 * sin", "- d2 * sin"), ("- d1 * sin", "+ d1 * sin")],
        "dY was turned the same way as X in the forward. The transpose of a rotation is the "
        "rotation back: −θ."),
    "cosine only": (2, [(" + d2 * sin", ""), (" - d1 * sin", "")],
        "Only the cosine terms are there. Each entry of a pair also acts on the other, by the "
        "sine."),
    "both plus": (2, "- d1 * sin", "+ d1 * sin",
        "Both sine terms are added; that of the second half has a minus sign."),
    "both minus": (2, "+ d2 * sin", "- d2 * sin",
        "Both sine terms are subtracted; that of the first half has a plus sign."),
    "sine and cosine": (
        2, "d1 * cos + d2 * sin, d2 * cos - d1 * sin", "d1 * sin + d2 * cos, d2 * sin - d1 * cos",
        "Sine and cosine are exchanged."),
    "partner forgotten": (3, [("+ d2 * sin", "+ d1 * sin"), ("- d1 * sin", "- d2 * sin")],
        "The sine terms multiply the entry itself; they belong to the other entry of the pair."),
    "neighbours": (
        3, "    return np.concatenate([d1 * cos + d2 * sin, d2 * cos - d1 * sin], axis=-1)",
        "    d1, d2 = dY[..., 0::2], dY[..., 1::2]\n"
        "    pairs = d1 * cos + d2 * sin, d2 * cos - d1 * sin\n"
        "    return np.stack(pairs, axis=-1).reshape(dY.shape)",
        "Column 2i was paired with column 2i + 1; here the pairs are i and i + D/2."),
    "halves exchanged": (3, "[d1 * cos + d2 * sin, d2 * cos - d1 * sin]",
        "[d2 * cos - d1 * sin, d1 * cos + d2 * sin]",
        "The two halves of the result have changed places."),
    "interleaved": (
        3, "    return np.concatenate([d1 * cos + d2 * sin, d2 * cos - d1 * sin], axis=-1)",
        "    pairs = d1 * cos + d2 * sin, d2 * cos - d1 * sin\n"
        "    return np.stack(pairs, axis=-1).reshape(dY.shape)",
        "The two entries of each pair were put side by side; they belong into the two halves."),
}
