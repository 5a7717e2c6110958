r"""beyond d2l, level 3: The backward of RMS normalization

Most language models of today scale each row by its root mean square, and shift nothing:

$$ \hat x = \frac{x}{\sqrt{\frac1D \sum_i x_i^2 + \varepsilon}}, \qquad y = \hat x \odot g . $$

Find the gradients of input and gain. (Zhang and Sennrich 2019.)

    X      (..., D)   inputs; `...` stands for any leading axes, also none
    gain   (D,)       g
    rstd   (..., 1)   1 / √(mean of x² + ε), in the cache
    dY     (..., D)   the gradient with respect to the output
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"dX": "dim", "dgain": "dim"}


class RMSNormCache(NamedTuple):
    """What the backward may use."""

    X: np.ndarray     # (..., D)
    gain: np.ndarray  # (D,)
    rstd: np.ndarray  # (..., 1)


def rms_norm(X, gain, eps):
    """Y (..., D) and the cache."""
    rstd = 1.0 / np.sqrt((X * X).mean(axis=-1, keepdims=True) + eps)
    return X * rstd * gain, RMSNormCache(X, gain, rstd)


FORWARD = rms_norm
GIVEN = (RMSNormCache, rms_norm)


def rms_norm_backward(dY, cache):
    """The gradients of input and gain.

    dY     (..., D)      gradient of the loss with respect to Y
    cache  RMSNormCache  X, gain and rstd as above

    Returns dX (..., D) and dgain (D,).
    """
    X, gain, rstd = cache
    Xhat = X * rstd
    dXhat = dY * gain
    slope = (dXhat * Xhat).mean(axis=-1, keepdims=True)
    dX = rstd * (dXhat - Xhat * slope)
    dgain = (dY * Xhat).reshape(-1, X.shape[-1]).sum(axis=0)
    return dX, dgain


def cases(rng):
    return {
        "one row": (draw(rng, 3), draw(rng, 3), 0.125),
        "two rows": (draw(rng, 2, 3), draw(rng, 3), 0.125),
        "as many rows as features": (draw(rng, 4, 4), draw(rng, 4), 0.0625),
        "every axis of another length": (draw(rng, 2, 3, 5), draw(rng, 5), 0.125),
    }


HINTS = (
    "The gain is shared by all rows. For dX go backwards: dX̂ = dY ⊙ gain first. Then mind that "
    "the root mean square depends on every entry of the row.",
    "An entry x_k moves x̂_j directly if j = k, and through rstd, with ∂rstd/∂x_k = −rstd³ x_k/D.",
    "dX = rstd ⊙ (dX̂ − X̂ ⊙ mean(dX̂ ⊙ X̂)), the mean over the row; dgain = Σ dY ⊙ X̂ over all "
    "rows.",
)

DERIVATION = r"""
**1.** The gain stretches each feature in all rows alike, so $dg_j = \sum dy_j\,\hat x_j$ over all
rows, and $d\hat x_j = dy_j\,g_j$.

**2.** With $r = (\frac1D \sum_i x_i^2 + \varepsilon)^{-1/2}$,

$$ \frac{\partial r}{\partial x_k} = -\frac{r^3}{D}\, x_k = -\frac{r^2}{D}\, \hat x_k . $$

**3.** $\hat x_j = x_j\, r$ depends on $x_k$ directly and through $r$:

$$ \frac{\partial \hat x_j}{\partial x_k} = r \Bigl( \delta_{jk} - \frac{\hat x_j \hat x_k}{D}
   \Bigr), \qquad
   dx = r \odot \bigl( d\hat x - \hat x \operatorname{mean}(d\hat x \odot \hat x) \bigr) . $$

No mean is subtracted: nothing was shifted.
"""


MISTAKES = {
    "scale held fixed": (3, " - Xhat * slope", "",
        "The root mean square was treated as a constant. It depends on every entry of the row: the "
        "term −X̂ ⊙ mean(dX̂ ⊙ X̂) is missing."),
    "slope not times Xhat": (3, "Xhat * slope", "slope",
        "The correction mean(dX̂ ⊙ X̂) was not multiplied by X̂."),
    "layer norm": (3, "(dXhat - Xhat", "(dXhat - dXhat.mean(axis=-1, keepdims=True) - Xhat",
        "The mean of dX̂ was subtracted, as for layer normalization. Here nothing was shifted."),
    "plus": (3, "dXhat - Xhat", "dXhat + Xhat",
        "The correction was added; the derivative of 1/√ brings a minus."),
    "sum": (3, "Xhat).mean(axis=-1, keepdims=True)", "Xhat).sum(axis=-1, keepdims=True)",
        "The correction is a sum over the row; it should be a mean, with 1/D."),
    "X for Xhat": (3, "Xhat * slope", "X * slope",
        "The correction was multiplied by X as it came; it should be X̂ = X ⊙ rstd."),
    "gain left out": (1, "dXhat = dY * gain", "dXhat = dY",
        "dY was used where dX̂ = dY ⊙ gain belongs: the gain was not undone."),
    "gain after the mean": (
        1, [("dXhat = dY * gain", "dXhat = dY"), ("Xhat * slope)", "Xhat * slope) * gain")],
        "dX was multiplied by the gain at the end. It belongs to dX̂ = dY ⊙ gain, before the mean "
        "is taken.",
    ),
    "rstd left out": (3, "rstd * (dXhat", "(dXhat", "The factor rstd in front is missing."),
    "dgain without Xhat": (1, "(dY * Xhat).reshape", "dY.reshape",
        "dgain lacks the factor X̂: the gain multiplies X̂, not 1."),
    "X in dgain": (1, "(dY * Xhat).reshape", "(dY * X).reshape",
        "dgain has the factor X; what the gain multiplies is X̂ = X ⊙ rstd."),
    "mean over rows": (1, "X.shape[-1]).sum(axis=0)", "X.shape[-1]).mean(axis=0)",
        "dgain is a mean over the rows. What is shared collects a sum."),
    "not summed": (1, "(dY * Xhat).reshape(-1, X.shape[-1]).sum(axis=0)", "dY * Xhat",
        "dgain has an entry for each row. Rows share the gain: sum over all of them."),
}
