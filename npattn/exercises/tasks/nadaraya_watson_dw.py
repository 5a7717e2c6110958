r"""d2l 10.2.4, level 3: What the learned width means

Nadaraya–Watson pooling predicts $f(x)$ as an average of known values, in which near keys weigh
more. One number $w$ is learned:

$$ s_{ij} = -\tfrac12 \bigl( (x_i - k_j)\, w \bigr)^2, \qquad
   P = \operatorname{softmax}(S), \qquad f_i = \sum_j p_{ij}\, y_j . $$

Find $dw$, the gradient of a loss with respect to $w$, and read from it what training does: $1/w$ is
the width of the kernel, and a larger $w$ makes the attended region narrower and its weights
sharper. Exercise 2 of d2l 10.2 (Chinese edition; in the English one, 11.2).

    x    (Tq,)      where to predict
    k    (Tk,)      where values are known
    y    (Tk,)      the values
    w    ()         one number
    P    (Tq, Tk)   the weights
    df   (Tq,)      the gradient with respect to the predictions
    dw   ()         one number
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw
from npattn.exercises.given import masked_softmax
from npattn.exercises.steps import SOFTMAX_BACKWARD, at

ANSWER = {"dw": ""}


class PoolingCache(NamedTuple):
    """What the backward may use."""

    x: np.ndarray  # (Tq,)
    k: np.ndarray  # (Tk,)
    y: np.ndarray  # (Tk,)
    w: np.ndarray  # ()
    P: np.ndarray  # (Tq, Tk)


def nadaraya_watson(x, k, y, w):
    """f (Tq,) and the cache."""
    u = x[:, None] - k
    P = masked_softmax(-0.5 * (u * w) ** 2)
    return P @ y, PoolingCache(x, k, y, w, P)


FORWARD = nadaraya_watson
GIVEN = (masked_softmax, PoolingCache, nadaraya_watson)


def nadaraya_watson_dw(df, cache):
    """The gradient of w.

    df     (Tq,)         gradient of the loss with respect to f
    cache  PoolingCache  as above

    Returns dw, one number.
    """
    x, k, y, w, P = cache
    dP = df[:, None] * y
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    u = x[:, None] - k
    return -w * (dS * u * u).sum()


def specification(df, cache):
    """Key by key: ∂f_i/∂w = −w Σ_j p_ij (y_j − f_i) u_ij²."""
    x, k, y, w, P = cache
    dw = 0.0
    for i in range(len(x)):
        f = sum(P[i, j] * y[j] for j in range(len(k)))
        for j in range(len(k)):
            dw += df[i] * P[i, j] * (y[j] - f) * -w * (x[i] - k[j]) ** 2
    return np.asarray(dw)


def cases(rng):
    def inputs(Tq, Tk):
        w = rng.choice([0.5, 0.75, 1.25, -0.625])
        return draw(rng, Tq), draw(rng, Tk), draw(rng, Tk), np.asarray(w)

    x = draw(rng, 4)
    return {
        "one query, two keys": inputs(1, 2),
        "two queries, three keys": inputs(2, 3),
        "as many queries as keys": inputs(3, 3),
        "five queries, two keys": inputs(5, 2),
        "predictions at the keys themselves": (x, x, draw(rng, 4), np.asarray(1.5)),
    }


HINTS = (
    "Go back step by step: f = P y, P = softmax(S), and S depends on w. The first two are "
    "attention as ever, with values of width 1.",
    "∂s_ij/∂w = −w (x_i − k_j)²: the square brings down a 2, which meets the ½. All scores use the "
    "same w.",
    "dP_ij = df_i y_j; dS = P ⊙ (dP − rowsum(dP ⊙ P)); dw = −w Σ_ij dS_ij (x_i − k_j)².",
)

DERIVATION = r"""
Write $u_{ij} = x_i - k_j$.

**1.** $f_i = \sum_j p_{ij} y_j$ gives $dp_{ij} = df_i\, y_j$.

**2.** Through the softmax, $ds_{ij} = p_{ij} (dp_{ij} - \sum_l dp_{il} p_{il})
= df_i\, p_{ij} (y_j - f_i)$.

**3.** $s_{ij} = -\tfrac12 u_{ij}^2 w^2$, so

$$ \frac{\partial s_{ij}}{\partial w} = -w\, u_{ij}^2 . $$

**4.** One $w$ serves all pairs, so its gradient is a sum over all of them:

$$ dw = -w \sum_{ij} ds_{ij}\, u_{ij}^2, \qquad
   \frac{\partial f_i}{\partial w} = -w \sum_j p_{ij}\,(y_j - f_i)\, u_{ij}^2
   = -w \operatorname{Cov}_{p_i}(y, u^2) . $$

What is learned is how values go with distance: where far values are larger than near ones, a larger
$w$ lowers the prediction, since it takes weight from what is far. On the very points that it was
given, the loss falls for ever as $w$ grows: each point then attends to itself. Hence leave one out.
"""


MISTAKES = {
    **at(2, SOFTMAX_BACKWARD),
    "w left out": (3, "-w * (dS", "-(dS", "The factor w is missing: the derivative of w²/2 is w."),
    "w squared": (3, "-w * (dS", "-w * w * (dS",
        "The factor is w, not w²: the square was differentiated away."),
    "half kept": (3, "-w * (dS", "-0.5 * w * (dS",
        "The square brings down a factor 2, which cancels the ½."),
    "half left out": (3, "-w * (dS", "-2.0 * w * (dS",
        "The result is twice too large: the ½ in front of the square was lost."),
    "not squared": (3, "dS * u * u", "dS * u",
        "The distance x − k enters squared, in the score as in its derivative by w."),
    "width": (3, "-w * (dS", "w**3 * (dS",
        "This is the gradient with respect to the width 1/w; w itself was asked for."),
    "mean over pairs": (4, "u).sum()", "u).mean()",
        "A mean over all pairs was taken; what all of them share collects a sum."),
    "mean over queries": (4, "u).sum()", "u).sum() / len(x)",
        "The sum was divided by the number of queries. A mean, if there is one, belongs to the "
        "loss and is in df already."),
    "absolute w": (
        3,
        "-w * (dS",
        "-np.abs(w) * (dS",
        "The absolute value of w was taken; the derivative of w²/2 is w, which has the sign of "
        "w.",
    ),
}
