r"""d2l 11.7.3, level 1: Layer normalization

Shift each row to mean 0, scale it to variance 1, then stretch and shift it by numbers that are
learned, one for each feature:

$$ y = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} \odot g + b, \qquad
   \mu = \frac1D \sum_i x_i, \qquad \sigma^2 = \frac1D \sum_i (x_i - \mu)^2 . $$

    X      (..., D)   inputs; `...` stands for any leading axes, also none
    gain   (D,)       g
    bias   (D,)       b
    eps               ε, which keeps a constant row from a division by 0
    Y      (..., D)
"""

import math

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"Y": "dim"}


def layer_norm(X, gain, bias, eps):
    """Each row normalized by itself, then stretched by gain and shifted by bias.

    X     (..., D)
    gain  (D,)
    bias  (D,)
    eps   a positive float

    Returns Y (..., D).
    """
    centred = X - X.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + eps) * gain + bias


def specification(X, gain, bias, eps):
    """Row by row, entry by entry."""
    Y = np.zeros_like(X)
    for row in np.ndindex(X.shape[:-1]):
        D = X.shape[-1]
        mean = math.fsum(X[row]) / D
        variance = math.fsum((x - mean) ** 2 for x in X[row]) / D
        for i in range(D):
            Y[row][i] = (X[row][i] - mean) / math.sqrt(variance + eps) * gain[i] + bias[i]
    return Y


def cases(rng):
    level = draw(rng, 2, 4)
    level[1] = level[1, 0]
    return {
        "one row": (draw(rng, 3), draw(rng, 3), draw(rng, 3), 0.125),
        "two rows": (draw(rng, 2, 3), draw(rng, 3), draw(rng, 3), 1e-5),
        "a constant row": (level, draw(rng, 4), draw(rng, 4), 1e-5),
        "as many rows as features": (draw(rng, 4, 4), draw(rng, 4), draw(rng, 4), 1e-3),
        "every axis of another length": (draw(rng, 2, 3, 5), draw(rng, 5), draw(rng, 5), 1e-5),
    }


HINTS = (
    "Mean and variance belong to one row, all D features of it: the last axis. `keepdims=True` "
    "keeps them lined up with X.",
    "np.var divides by D unless told otherwise, which is what is wanted here. ε is added to the "
    "variance, before the root.",
    "centred = X − mean; Y = centred / √(mean of centred² + eps) ⊙ gain + bias.",
)

DERIVATION = r"""
**1.** The statistics are those of one position: a row of $D$ features, along the last axis. Other
positions and other sequences have no part in it, so a sequence is normalized in the same way
whatever shares its batch.

**2.** The variance is the mean of the squared distances from the mean, divided by $D$: the row is
all there is, not a sample from which something is to be estimated.

**3.** $\varepsilon$ stands under the root, added to the variance. A constant row has variance 0,
and $0 / \sqrt{\varepsilon} = 0$.

**4.** Gain and bias come last, feature by feature: $y = \hat x \odot g + b$. At the start, with
$g = 1$ and $b = 0$, they change nothing.
"""


MISTAKES = {
    "n minus 1": (
        2, "centred).mean(axis=-1, keepdims=True)",
        "centred).sum(axis=-1, keepdims=True) / (X.shape[-1] - 1.0)",
        "The variance is divided by D − 1. Here it is divided by D: `ddof=0`, NumPy's default.",
    ),
    "eps outside": (3, "np.sqrt(variance + eps)", "(np.sqrt(variance) + eps)",
        "ε was added to the standard deviation, after the root; it belongs to the variance, under "
        "the root."),
    "eps left out": (3, " + eps)", ")", "ε is missing: a constant row is 0/0, NaN."),
    "no root": (3, "np.sqrt(variance", "(variance",
        "The row was divided by its variance; it should be by the root of it."),
    "mean kept": (1, "X - X.mean(axis=-1, keepdims=True)", "X",
        "The mean was not subtracted from the row, neither before the squares nor before the "
        "division. That is RMS normalization."),
    "mean of squares": (2, "centred * centred", "X * X",
        "The mean of x² was taken for the variance; the distances from the mean must be squared."),
    "first axis": (
        1, [
            ("X.mean(axis=-1", "X.mean(axis=0 if X.ndim > 1 else -1"),
            ("centred).mean(axis=-1", "centred).mean(axis=0 if X.ndim > 1 else -1"),
        ],
        "Mean and variance run over the first axis; each position is normalized by itself, over "
        "its features: axis −1.",
    ),
    "batch norm": (
        1, [
            ("X.mean(axis=-1", "X.mean(axis=tuple(range(X.ndim - 1)) or -1"),
            ("centred).mean(axis=-1", "centred).mean(axis=tuple(range(X.ndim - 1)) or -1"),
        ],
        "Mean and variance run over all rows, feature by feature, as in batch normalization. Here "
        "they run over the features of one row: axis −1.",
    ),
    "sequence too": (
        1, [
            ("X.mean(axis=-1", "X.mean(axis=(-2, -1) if X.ndim > 1 else -1"),
            ("centred).mean(axis=-1", "centred).mean(axis=(-2, -1) if X.ndim > 1 else -1"),
        ],
        "Mean and variance run over the last two axes, so positions of one sequence share them. "
        "Each row has its own: only axis −1.",
    ),
    "bias first": (4, [("return centred", "return (centred"), ("* gain + bias", "+ bias) * gain")],
        "The bias was added before the gain: it should not be stretched by it."),
    "gain left out": (4, " * gain", "", "The gain is missing."),
    "1 + gain": (4, "* gain", "* (1.0 + gain)",
        "The row was multiplied by 1 + gain, as some models do; here it is gain."),
}
