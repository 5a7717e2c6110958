r"""d2l 11.8.3, level 1: The gradient of GELU

The vision Transformer's activation lets each number pass in proportion to the probability that a
standard normal variable is below it:

$$ y = x\,\Phi(x), \qquad \Phi(x) = \frac{1}{\sqrt{2\pi}} \int_{-\infty}^{x} e^{-u^2/2}\, du . $$

Find $dX$, the gradient of a loss with respect to the inputs, from $dY$.

    X     (...)   inputs, any shape
    Phi   (...)   $\Phi(X)$, in the cache
    dY    (...)   the gradient with respect to the output
    dX    (...)
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import erf

from npattn.exercises.drawing import draw

ANSWER = {"dX": "dim"}


class GeluCache(NamedTuple):
    """What the backward may use."""

    X: np.ndarray    # (...)
    Phi: np.ndarray  # (...) the share of X that passes


def gelu(X):
    """Y, shaped like X, and the cache."""
    Phi = 0.5 * (1.0 + erf(X * math.sqrt(0.5)))
    return X * Phi, GeluCache(X, Phi)


FORWARD = gelu
GIVEN = (GeluCache, gelu)


def gelu_backward(dY, cache):
    """The gradient of the inputs.

    dY     (...)      gradient of the loss with respect to Y
    cache  GeluCache  X and Phi as above

    Returns dX, shaped like X.
    """
    X, Phi = cache
    density = np.exp(-0.5 * X * X) / math.sqrt(2.0 * math.pi)
    return dY * (Phi + X * density)


def cases(rng):
    return {
        "three numbers": (draw(rng, 3),),
        "large and small": (np.array([-6.0, -0.125, 0.125, 6.0]) * rng.uniform(0.5, 1.0, 4),),
        "far from 0, in float64": (np.array([-60.0, -7.0, 7.0, 60.0]) * rng.uniform(0.8, 1.0, 4),),
        "a matrix": (draw(rng, 2, 3),),
        "every axis of another length": (draw(rng, 2, 3, 4),),
    }


HINTS = (
    "y is a product of two functions of x, so its derivative has two terms.",
    "dy/dx = Φ(x) + x Φ′(x). Φ is an integral up to x; what is the derivative of such an integral?",
    "Φ′ is the normal density φ(x) = exp(−x²/2)/√(2π), and dX = dY ⊙ (Φ + X ⊙ φ(X)).",
)

DERIVATION = r"""
**1.** Entry by entry, $y = x\,\Phi(x)$ is a product:

$$ \frac{dy}{dx} = \Phi(x) + x\,\Phi'(x) . $$

**2.** The derivative of an integral with respect to its upper end is the integrand there, the
density of the normal distribution:

$$ \Phi'(x) = \varphi(x) = \frac{1}{\sqrt{2\pi}}\, e^{-x^2/2} . $$

**3.** No entry of $y$ depends on another entry of $x$, so the Jacobian is diagonal:

$$ dX = dY \odot \bigl( \Phi(X) + X \odot \varphi(X) \bigr) . $$

For large $x$ the slope is 1, for very negative $x$ it is 0, and in between it is for a while a
little negative and a little above 1: unlike ReLU, GELU is not monotonic.
"""


MISTAKES = {
    "gate only": (1, " + X * density", "",
        "Φ was treated as a constant, as if the gate did not move with x. The product rule has a "
        "second term, x Φ′(x)."),
    "density only": (1, "Phi + X", "X",
        "Only Φ was differentiated. The product rule has another term, Φ(x), from the factor x."),
    "no x": (1, "X * density", "density",
        "The second term lacks its factor x: it is x Φ′(x), not Φ′(x)."),
    "not normalized": (2, " / math.sqrt(2.0 * math.pi)", "",
        "The density lacks its constant 1/√(2π), so it does not integrate to 1."),
    "half left out": (2, "-0.5 * X", "-X",
        "The exponent of the density is −x²; it should be −x²/2."),
    "exponent": (2, "-0.5 * X", "0.5 * X",
        "The exponent of the density has the wrong sign: exp(+x²/2) grows, a bell falls."),
    "tanh formula": (
        2,
        "    return",
        "    c = math.sqrt(2.0 / math.pi)\n"
        "    Phi = 0.5 * (1.0 + np.tanh(c * (X + 0.044715 * X**3)))\n"
        "    density = 2.0 * Phi * (1.0 - Phi) * c * (1.0 + 3.0 * 0.044715 * X**2)\n"
        "    return",
        "This is the derivative of the approximation with tanh. It agrees to about three digits; "
        "here Φ is exact, and so is its derivative.",
    ),
    "slope of relu": (3, "(Phi + X * density)", "(X > 0)",
        "This is the gradient of ReLU, 1 where x > 0. GELU bends smoothly around 0."),
    "sigmoid formula": (2, "    return",
        "    Phi = 1.0 / (1.0 + np.exp(-1.702 * X))\n"
        "    density = 1.702 * Phi * (1.0 - Phi)\n    return",
        "This is the derivative of the approximation x σ(1.702 x). It agrees to one or two digits; "
        "here Φ is exact, and so is its derivative."),
}
