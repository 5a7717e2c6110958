r"""d2l 11.7.3, level 3: The backward of layer normalization

Each row is shifted to mean 0 and scaled to variance 1, then stretched:

$$ \hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}}, \qquad y = \hat x \odot g + b , $$

with mean $\mu = \frac1D \sum_i x_i$ and variance $\sigma^2 = \frac1D \sum_i (x_i - \mu)^2$ of the
row. Find the gradients of input, gain and bias.

    X      (..., D)   inputs; `...` stands for any leading axes, also none
    gain   (D,)       g
    bias   (D,)       b
    dY     (..., D)   the gradient with respect to the output

The cache holds $\hat x$ and $1/\sqrt{\sigma^2 + \varepsilon}$; you do not need X.
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"dX": "dim", "dgain": "dim", "dbias": "dim"}


class LayerNormCache(NamedTuple):
    """What the backward may use."""

    Xhat: np.ndarray  # (..., D) the normalized rows
    rstd: np.ndarray  # (..., 1) 1 / √(variance + ε)
    gain: np.ndarray  # (D,)


def layer_norm(X, gain, bias):
    """Y (..., D) and the cache."""
    centred = X - X.mean(axis=-1, keepdims=True)
    rstd = 1.0 / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5)
    Xhat = centred * rstd
    return Xhat * gain + bias, LayerNormCache(Xhat, rstd, gain)


FORWARD = layer_norm
GIVEN = (LayerNormCache, layer_norm)


def layer_norm_backward(dY, cache):
    """The gradients of input, gain and bias.

    dY     (..., D)         gradient of the loss with respect to Y
    cache  LayerNormCache   Xhat, rstd and gain as above

    Returns dX (..., D), dgain (D,), dbias (D,).
    """
    Xhat, rstd, gain = cache
    leading = tuple(range(dY.ndim - 1))
    dXhat = dY * gain
    mean = dXhat.mean(axis=-1, keepdims=True)
    slope = (dXhat * Xhat).mean(axis=-1, keepdims=True)
    dX = rstd * (dXhat - mean - Xhat * slope)
    return dX, (dY * Xhat).sum(axis=leading), dY.sum(axis=leading)


def cases(rng):
    def rows(*shape):
        return draw(rng, *shape) + np.arange(shape[-1]) % 3  # so that no row is constant

    return {
        "one row": (rows(3), draw(rng, 3), draw(rng, 3)),
        "two rows": (rows(2, 3), draw(rng, 3), draw(rng, 3)),
        "as many rows as columns": (rows(4, 4), draw(rng, 4), draw(rng, 4)),
        "every axis of another length": (rows(2, 3, 5), draw(rng, 5), draw(rng, 5)),
    }


HINTS = (
    "gain and bias are shared by all rows. For dX go backwards: dX̂ = dY ⊙ gain first. Then mind "
    "that mean and variance depend on every entry of the row.",
    "An entry x_k moves x̂_j in three ways: directly if j = k, through the mean, and through the "
    "variance, with ∂σ²/∂x_k = 2 (x_k − μ)/D.",
    "dX = rstd ⊙ (dX̂ − mean(dX̂) − X̂ ⊙ mean(dX̂ ⊙ X̂)), means over the row; "
    "dgain = Σ dY ⊙ X̂ and dbias = Σ dY over all rows.",
)

DERIVATION = r"""
Take one row, and let $r = 1/\sqrt{\sigma^2 + \varepsilon}$, so that $\hat x_j = r\,(x_j - \mu)$.

**1.** $y_j = \hat x_j g_j + b_j$. Hence $d\hat x_j = dy_j\, g_j$. Gain and bias are shared by all
rows, so their gradients are sums over rows: $dg_j = \sum dy_j\,\hat x_j$ and $db_j = \sum dy_j$.

**2.** The mean: $\partial \mu / \partial x_k = 1/D$. The centred $x_j - \mu$ has the derivative
$\delta_{jk} - 1/D$, and the first correction, $-r \cdot \frac1D \sum_j d\hat x_j$, follows.

**3.** The variance: $\partial \sigma^2 / \partial x_k = \frac2D (x_k - \mu)$, where the dependence
of $\mu$ drops out, since the centred row sums to 0. With $\partial r / \partial \sigma^2 = -r^3/2$,

$$ \frac{\partial r}{\partial x_k} = -\frac{r^3}{D} (x_k - \mu) = -\frac{r^2}{D}\, \hat x_k . $$

**4.** Collect, with $\partial \hat x_j / \partial x_k = r\,(\delta_{jk} - \tfrac1D) + (x_j - \mu)\,
\partial r / \partial x_k$:

$$ \frac{\partial \hat x_j}{\partial x_k}
   = r \Bigl( \delta_{jk} - \frac1D - \frac{\hat x_j \hat x_k}{D} \Bigr), \qquad
   dx = r \odot \bigl( d\hat x - \operatorname{mean}(d\hat x)
     - \hat x\, \operatorname{mean}(d\hat x \odot \hat x) \bigr) . $$

The two corrections remove from the gradient what a shift and a stretch of the row would do, since
neither changes $\hat x$.
"""


MISTAKES = {
    "mean held fixed": (2, " - mean", "",
        "The mean was treated as a constant. It depends on every entry of the row: the term "
        "−mean(dX̂) is missing."),
    "variance held fixed": (3, " - Xhat * slope", "",
        "The variance was treated as a constant. It depends on every entry of the row: the term "
        "−X̂ ⊙ mean(dX̂ ⊙ X̂) is missing."),
    "slope not times Xhat": (3, "- Xhat * slope", "- slope",
        "The correction for the variance, mean(dX̂ ⊙ X̂), was not multiplied by X̂."),
    "n minus 1": (
        2, [
            ("mean = dX", "mean = dY.shape[-1] / (dY.shape[-1] - 1.0) * dX"),
            ("slope = (", "slope = dY.shape[-1] / (dY.shape[-1] - 1.0) * ("),
        ],
        "Both corrections were divided by D − 1. Layer normalization takes the biased variance; "
        "all means are over D.",
    ),
    "unbiased variance": (3, "slope = (", "slope = dY.shape[-1] / (dY.shape[-1] - 1.0) * (",
        "The correction for the variance was divided by D − 1. Layer normalization divides the "
        "variance by D."),
    "sums": (4, [("dXhat.mean", "dXhat.sum"), ("Xhat).mean", "Xhat).sum")],
        "The corrections are sums over the row; both should be means, with 1/D."),
    "gain left out": (1, "dY * gain", "dY",
        "dY was used where dX̂ = dY ⊙ gain belongs: the gain was not undone."),
    "gain after the means": (1, [("dY * gain", "dY"), ("slope)", "slope) * gain")],
        "dX was multiplied by the gain at the end. It belongs to dX̂ = dY ⊙ gain, before the means "
        "are taken: each entry of the row has a gain of its own."),
    "rstd left out": (4, "rstd * (", "(",
        "The factor rstd in front is missing: the row was scaled by it."),
    "divided by rstd": (4, "rstd * (", "1.0 / rstd * (",
        "dX was divided by rstd, and should be multiplied by it."),
    "dgain without Xhat": (1, "(dY * Xhat)", "dY",
        "dgain lacks the factor X̂: the gain multiplies X̂, not 1."),
    "not summed": (1, [("Xhat).sum(axis=leading)", "Xhat)"), ("dY.sum(axis=leading)", "dY")],
        "dgain and dbias still have an entry for each row. Rows share gain and bias, so their "
        "gradients are sums over all rows."),
    "first axis only": (1, "tuple(range(dY.ndim - 1))", "0",
        "dgain and dbias were summed over the first axis, `axis=0`, which is right for matrices. "
        "All axes but the last hold rows, however many there are."),
    "means over rows": (1, [("Xhat).sum", "Xhat).mean"), ("dY.sum", "dY.mean")],
        "dgain and dbias are means over the rows. What is shared collects a sum."),
    "no keepdims": (
        4, [
            ("dXhat.mean(axis=-1, keepdims=True)", "dXhat.mean(axis=-1)"),
            ("Xhat).mean(axis=-1, keepdims=True)", "Xhat).mean(axis=-1)"),
        ],
        "The means were taken without `keepdims=True`. Where there are as many rows as columns, "
        "they are then subtracted from the columns; elsewhere they do not fit.",
    ),
    "wrong axis": (
        2, [
            ("dXhat.mean(axis=-1", "dXhat.mean(axis=0"),
            ("Xhat).mean(axis=-1", "Xhat).mean(axis=0"),
        ],
        "The means in dX run over the first axis. Each row is normalized by itself: axis −1.",
    ),
    "means without the gain": (
        2,
        [
            ("mean = dXhat.mean",
             "mean = dY.mean"),
            ("(dXhat * Xhat).mean",
             "(dY * Xhat).mean"),
        ],
        "The gain is missing in the two means: they are taken of dX̂ = dY ⊙ gain, not of dY.",
    ),
}
