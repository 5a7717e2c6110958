r"""beyond d2l, level 2: The gradient of SwiGLU

The feed-forward layers of today multiply two projections of their input, one of them bent by SiLU,
$x\,\sigma(x)$ with the sigmoid $\sigma(x) = 1/(1 + e^{-x})$:

$$ Y = \operatorname{silu}(G) \odot U, \qquad \operatorname{silu}(x) = x\,\sigma(x) . $$

Find the gradients of both. (Shazeer 2020.)

    G    (...)   the gate's projection, any shape
    U    (...)   the other projection
    dY   (...)   the gradient with respect to the output
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"dG": "dim", "dU": "dim"}


class SwiGLUCache(NamedTuple):
    """What the backward may use."""

    G: np.ndarray  # (...)
    U: np.ndarray  # (...)


def swiglu(G, U):
    """Y, shaped like G, and the cache."""
    sigma = 0.5 * (1.0 + np.tanh(0.5 * G))
    return G * sigma * U, SwiGLUCache(G, U)


FORWARD = swiglu
GIVEN = (SwiGLUCache, swiglu)


def swiglu_backward(dY, cache):
    """The gradients of both projections.

    dY     (...)        gradient of the loss with respect to Y
    cache  SwiGLUCache  G and U as above

    Returns dG and dU, shaped like G.
    """
    G, U = cache
    sigma = 1.0 / (1.0 + np.exp(-G))
    slope = sigma * (1.0 + G * (1.0 - sigma))
    return dY * U * slope, dY * G * sigma


def cases(rng):
    return {
        "three numbers": (draw(rng, 3), draw(rng, 3)),
        "large and small": (
            np.array([-6.0, -0.125, 0.125, 6.0]) * rng.uniform(0.5, 1.0, 4), draw(rng, 4)),
        "gates far from 0, in float64": (
            np.array([-690.0, -0.5, 690.0]), draw(rng, 3)),
        "a matrix": (draw(rng, 2, 3), draw(rng, 2, 3)),
        "every axis of another length": (draw(rng, 2, 3, 4), draw(rng, 2, 3, 4)),
    }


HINTS = (
    "Y is a product of two factors. Each factor's gradient has the other one.",
    "silu(x) = x σ(x) is a product as well: its derivative is σ(x) + x σ′(x), with σ′ = σ (1 − σ).",
    "dU = dY ⊙ G σ(G); dG = dY ⊙ U ⊙ σ(G) (1 + G (1 − σ(G))).",
)

DERIVATION = r"""
**1.** Entry by entry $y = \operatorname{silu}(g)\,u$, so
$du = dy\,\operatorname{silu}(g)$ and $dg = dy\,u\,\operatorname{silu}'(g)$.

**2.** By the product rule, and since $\sigma' = \sigma\,(1 - \sigma)$,

$$ \operatorname{silu}'(x) = \sigma(x) + x\,\sigma(x)\,(1 - \sigma(x))
   = \sigma(x)\,\bigl( 1 + x\,(1 - \sigma(x)) \bigr) . $$
"""


MISTAKES = {
    "sigmoid held fixed": (2, "sigma * (1.0 + G * (1.0 - sigma))", "sigma",
        "σ was treated as a constant: the second term of the product rule, x σ (1 − σ), is "
        "missing."),
    "only the sigmoid": (2, "sigma * (1.0 + G * (1.0 - sigma))", "G * sigma * (1.0 - sigma)",
        "Only σ was differentiated. The product rule has another term, σ(x), from the factor x."),
    "no x": (2, "1.0 + G * (1.0", "1.0 + (1.0",
        "The second term lacks its factor x: it is x σ (1 − σ)."),
    "derivative of the sigmoid": (2, "sigma * (1.0 + G * (1.0 - sigma))", "sigma * (1.0 - sigma)",
        "σ (1 − σ) is the derivative of the sigmoid alone; silu is x σ(x)."),
    "slope of relu": (2, "sigma * (1.0 + G * (1.0 - sigma))", "(G > 0.0)",
        "This is the slope of ReLU, 1 where x > 0. SiLU bends smoothly around 0."),
    "as tanh": (2, "(1.0 - sigma))", "(1.0 - sigma * sigma))",
        "The derivative of the sigmoid is σ (1 − σ); 1 − σ² belongs to tanh."),
    "not differentiated": (2, "sigma * (1.0 + G * (1.0 - sigma))", "G * sigma",
        "dG has silu(G) itself as a factor; it should be its derivative."),
    "U left out": (1, "dY * U * slope", "dY * slope",
        "dG lacks the factor U: in a product each factor's gradient has the other one."),
    "G left out of dU": (1, "dY * G * sigma", "dY * sigma",
        "dU has the factor σ(G); what multiplies U is G σ(G)."),
    "gate not bent": (1, "dY * G * sigma", "dY * G",
        "dU has the factor G; what multiplies U is silu(G)."),
    "own factor": (1, "dY * G * sigma", "dY * U",
        "dU has the factor U; in a product each factor's gradient has the other one."),
    "exchanged": (1, "dY * U * slope, dY * G * sigma", "dY * G * sigma, dY * U * slope",
        "The two gradients are returned in the wrong order: dG comes first."),
    "sign": (2, "1.0 + G * (1.0", "1.0 - G * (1.0",
        "The second term of the product rule was subtracted; it is added."),
    "tanh for the sigmoid": (
        1,
        [
            ("sigma = 1.0 / (1.0 + np.exp(-G))",
             "sigma = np.tanh(G)"),
            ("sigma * (1.0 + G * (1.0 - sigma))",
             "sigma + G * (1.0 - sigma * sigma)"),
        ],
        "tanh stands where the sigmoid belongs: silu is x σ(x), with σ(x) = 1/(1 + e^(−x)).",
    ),
}
