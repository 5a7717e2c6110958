r"""beyond d2l, level 1: The gradient of a soft cap

Some models keep their scores within a bound $c$ by a tanh before the softmax:

$$ y = c\,\tanh(s / c) . $$

Find the gradient of the scores. (Gemma 2, 2024.)

    S     (...)    scores, any shape
    Y     (...)    the capped scores, in the cache
    cap   number   c, positive
    dY    (...)    the gradient with respect to the capped scores
    dS    (...)
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"dS": "score"}


class SoftCapCache(NamedTuple):
    """What the backward may use."""

    S: np.ndarray  # (...)
    Y: np.ndarray  # (...)
    cap: float


def soft_cap(S, cap):
    """Y, shaped like S, and the cache."""
    Y = cap * np.tanh(S / cap)
    return Y, SoftCapCache(S, Y, cap)


FORWARD = soft_cap
GIVEN = (SoftCapCache, soft_cap)


def soft_cap_backward(dY, cache):
    """The gradient of the scores.

    dY     (...)         gradient of the loss with respect to Y
    cache  SoftCapCache  S, Y and cap as above

    Returns dS, shaped like S.
    """
    S, Y, cap = cache
    t = Y / cap
    return dY * (1.0 - t * t)


def cases(rng):
    return {
        "three scores": (draw(rng, 3), 2.0),
        "large and small": (np.array([-6.0, -0.125, 0.125, 6.0]) * rng.uniform(0.5, 1.0, 4), 4.0),
        "far beyond the cap, in float64": (
            np.array([-875.0, -40.0, 40.0, 875.0]) * rng.uniform(0.95, 1.0, 4), 1.25),
        "a matrix": (draw(rng, 2, 3), 0.5),
        "every axis of another length": (draw(rng, 2, 3, 4), 1.5),
    }


HINTS = (
    "c tanh(s/c) is a chain of three functions; two of them are factors.",
    "The factors c and 1/c cancel. What is the derivative of tanh, in terms of tanh?",
    "dS = dY ⊙ (1 − (Y/c)²).",
)

DERIVATION = r"""
**1.** By the chain rule the $1/c$ inside meets the $c$ in front:

$$ \frac{dy}{ds} = c \cdot \tanh'(s/c) \cdot \frac1c = \tanh'(s/c) . $$

**2.** $\tanh' = 1 - \tanh^2$, and $\tanh(s/c) = y/c$ is in the cache: $ds = dy\,(1 - (y/c)^2)$.
"""


MISTAKES = {
    "not differentiated": (2, " * (1.0 - t * t)", "", "The tanh was not differentiated."),
    "cap forgotten": (2, "t = Y / cap", "t = Y", "1 − Y² was used; tanh(s/c) is Y/c."),
    "tanh not taken": (2, "t = Y / cap", "t = S / cap",
        "1 − (S/c)² was used; S/c is what goes into the tanh, so it is 1 − tanh²(S/c)."),
    "tanh twice": (2, "t = Y / cap", "t = np.tanh(Y / cap)",
        "tanh was applied to Y/c once more. Y/c is the tanh already."),
    "cap outside": (1, "return dY", "return cap * dY",
        "There is a factor c too many: it cancels the 1/c from inside the tanh."),
    "cap inside": (1, "return dY", "return dY / cap",
        "There is a factor 1/c too many: it cancels the c in front of the tanh."),
    "square left out": (2, "1.0 - t * t", "1.0 - t", "The derivative of tanh is 1 − tanh²."),
    "as a sigmoid": (2, "1.0 - t * t", "t * (1.0 - t)",
        "t (1 − t) is the derivative of a sigmoid; that of tanh is 1 − t²."),
    "clipped": (2, "(1.0 - t * t)", "(np.abs(S) < cap)",
        "The gradient passes unchanged below the cap, as through np.clip; tanh bends everywhere."),
    "value": (2, "(1.0 - t * t)", "t", "dY was multiplied by tanh itself, not by its derivative."),
    "plus": (2, "1.0 - t * t", "1.0 + t * t", "The derivative of tanh is 1 minus its square."),
}
