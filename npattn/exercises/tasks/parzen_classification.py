r"""d2l 11.2.5, level 2: Parzen windows and Nadaraya–Watson decide alike

Points $x_1, \dots, x_n$ have labels $y_i = \pm 1$. Parzen windows estimate how dense each class is
near $x$,

$$ \hat p(x, y) = \frac1n \sum_{i\,:\,y_i = y} \kappa(x, x_i), \qquad
   \kappa(x, x_i) = e^{-\|x - x_i\|^2 / (2\sigma^2)} , $$

and classify by the sign of $\hat p(x, {+1}) - \hat p(x, {-1})$. Nadaraya–Watson classifies by the
sign of $f(x) = \sum_i \alpha(x, x_i)\, y_i$, where the weights $\alpha$ are the $\kappa(x, x_i)$
divided by their sum over $i$. Compute both, and see why the signs agree. Exercise 1 of d2l 11.2
(Chinese edition: section 10.2).

    Q       (m, D)   where to classify
    X       (n, D)   the known points
    y       (n,)     their labels, 1.0 or −1.0
    sigma   number   the width of the kernel
    D       (m,)     the difference of Parzen's estimates
    f       (m,)     Nadaraya–Watson's prediction

There are points of both classes, and the points lie near enough that no kernel underflows.
"""

import math

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"D": "query", "f": "query"}
EXCLUDED = {
    "n": "There are points of both classes", "large": "the points lie near enough",
}


def parzen_classification(Q, X, y, sigma):
    """Parzen's difference and Nadaraya–Watson's prediction.

    Q      (m, D)  where to classify
    X      (n, D)  known points
    y      (n,)    labels, 1.0 or −1.0
    sigma  number  width of the kernel

    Returns D (m,) and f (m,).
    """
    distance = ((Q[:, None] - X) ** 2).sum(axis=-1)
    E = np.exp(-distance / (2.0 * sigma**2))
    return E @ y / len(X), E @ y / E.sum(axis=-1)


def specification(Q, X, y, sigma):
    """Class by class, point by point."""
    D, f = np.zeros(len(Q)), np.zeros(len(Q))
    for i, q in enumerate(Q):
        density = {1.0: 0.0, -1.0: 0.0}
        for x, label in zip(X, y, strict=True):
            distance = sum((a - b) ** 2 for a, b in zip(q, x, strict=True))
            density[float(label)] += math.exp(-distance / (2.0 * sigma**2)) / len(X)
        D[i] = density[1.0] - density[-1.0]
        f[i] = D[i] / (density[1.0] + density[-1.0])
    return D, f


def cases(rng):
    def inputs(m, n, D, sigma):
        y = np.where(np.arange(n) % 3 == 0, 1.0, -1.0)
        while True:
            Q, X = draw(rng, m, D), draw(rng, n, D)
            _, f = parzen_classification(Q, X, y, sigma)
            if abs(f).max() > 0.1:  # the classes do not cancel everywhere
                return Q, X, y, sigma

    X = draw(rng, 5, 2)
    return {
        "one query, three points on a line": inputs(1, 3, 1, 1.5),
        "every length different": inputs(2, 6, 3, 2.5),
        "as many queries as points": inputs(4, 4, 2, 1.75),
        "a narrow kernel": inputs(3, 5, 2, 0.75),
        "the points themselves": (X, X, np.array([1.0, -1.0, -1.0, 1.0, -1.0]), 1.25),
    }


HINTS = (
    "In D, a point of class +1 adds κ/n and one of class −1 subtracts κ/n. Can you write that with "
    "y_i, without a case distinction?",
    "D(x) = (1/n) Σ_i y_i κ(x, x_i). f has the same sum above its fraction line; what is below?",
    "E = exp(−‖q − x‖²/(2σ²)), (m, n); D = E @ y / n and f = E @ y / E.sum(axis=1).",
)

DERIVATION = r"""
**1.** The kernel falls with the squared distance, in units of $2\sigma^2$:
$\kappa_i = e^{-\|x - x_i\|^2 / (2\sigma^2)}$.

**2.** Both densities are divided by the number $n$ of *all* points, so a class that has more points
counts for more: $\hat p(x, y)$ is a joint density, $\hat p(x \mid y)\, \hat p(y)$. The label is the
sign with which a point enters:

$$ \hat p(x, {+1}) - \hat p(x, {-1}) = \frac1n \sum_i y_i\, \kappa_i . $$

**3.** Nadaraya–Watson divides by what makes its weights sum to 1, over the points:

$$ f(x) = \frac{\sum_i y_i\, \kappa_i}{\sum_i \kappa_i}
   = \frac{\hat p(x, {+1}) - \hat p(x, {-1})}{\hat p(x, {+1}) + \hat p(x, {-1})} . $$

**4.** The denominator is positive, so both have the same sign and decide alike. They differ in what
else they say: $f$ is $\hat p({+1} \mid x) - \hat p({-1} \mid x)$, between −1 and 1, and forgets how
many points were near at all.
"""


MISTAKES = {
    "distance not squared": (1, "-distance /", "-np.sqrt(distance) /",
        "The kernel uses the distance, not its square."),
    "sigma not squared": (1, "sigma**2", "sigma",
        "The square of the distance is divided by 2σ; it should be 2σ²."),
    "2 left out": (1, "(2.0 * sigma", "(sigma",
        "The 2 is missing: the exponent is −‖x − x_i‖²/(2σ²)."),
    "normalised kernel": (
        1, "sigma**2))", "sigma**2)) / (math.sqrt(2.0 * math.pi) * sigma) ** X.shape[-1]",
        "The kernel was divided by √(2π)σ for each dimension. In f that cancels; D was asked for "
        "without it.",
    ),
    "each class by itself": (
        2, "E @ y / len(X)", "E @ (y / np.where(y > 0, (y > 0).sum(), (y < 0).sum()))",
        "Each class was divided by its own number of points. That gives p(x | y): how frequent the "
        "classes are is lost, and the sign may differ from that of f.",
    ),
    "n left out": (2, " / len(X)", "",
        "The factor 1/n is missing in D. It does not matter for the sign."),
    "only one class": (2, "E @ y / len(X)", "E @ (y > 0) / len(X)",
        "D holds only the density of the class +1; subtract that of −1."),
    "labels 0 and 1": (3, ", E @ y", ", E @ (y > 0)",
        "f was computed with labels 0 and 1: that is the probability of +1, never negative, and "
        "its sign decides nothing."),
    "f not divided": (3, " / E.sum(axis=-1)", "",
        "f was not divided by the sum of the kernels, so the weights do not sum to 1."),
    "f divided by n": (3, "E.sum(axis=-1)", "len(X)",
        "f was divided by n, like D. Its weights sum to 1: divide by the sum of the kernels."),
    "sum over queries": (3, "E.sum(axis=-1)", "E.sum(axis=0)",
        "The kernels were summed over the queries, axis 0. The weights of one query sum to 1 over "
        "the points, axis 1."),
    "only the sign": (
        4, [(", E @ y", ", np.sign(E @ y"), ("/ E.sum(axis=-1)", "/ E.sum(axis=-1))")],
        "f is the class, ±1; the prediction before the decision was asked for.",
    ),
}
