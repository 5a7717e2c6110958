r"""d2l 11.2.5, level 4: Learning a kernel's width, leaving one out

Nadaraya–Watson regression predicts each of $n$ known points from the known points,

$$ s_{ij} = -\tfrac12 \bigl( (x_i - x_j)\, w \bigr)^2, \qquad
   P = \operatorname{softmax}(S), \qquad f_i = \sum_j p_{ij}\, y_j , \qquad
   L = \frac1n \sum_i (f_i - y_i)^2 , $$

and gradient descent on $L$ is to find $w$, where $1/w$ is the width. If point $i$ may use its own
value, nothing is easier: let $w$ grow until each point sees only itself, and $L = 0$. So the pair
$i = j$ is left out, before the softmax. Find $dL/dw$ for both, in sample and leave-one-out.
Exercise 2 of d2l 11.2 (Chinese edition: section 10.2.4).

    x           (n,)     where values are known
    y           (n,)     the values
    w           ()       one number
    leave_out   bool     whether the pairs i = j are left out
    P           (n, n)   the weights; where i = j is left out, the diagonal is 0
    f           (n,)     the predictions
    dL          ()       the gradient with respect to L
    dw          ()       one number

A point that has no other to look at gets weights 0 and the prediction 0.
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.given import masked_softmax
from npattn.exercises.steps import SOFTMAX_BACKWARD, at

ANSWER = {"dw": ""}


class LeaveOneOutCache(NamedTuple):
    """What the backward may use."""

    x: np.ndarray  # (n,)
    y: np.ndarray  # (n,)
    w: np.ndarray  # ()
    P: np.ndarray  # (n, n)
    f: np.ndarray  # (n,)


def leave_one_out_loss(x, y, w, leave_out):
    """L, one number, and the cache."""
    u = x[:, None] - x
    mask = ~np.eye(len(x), dtype=bool) if leave_out else None
    P = masked_softmax(-0.5 * (u * w) ** 2, mask)
    f = P @ y
    return ((f - y) ** 2).mean(), LeaveOneOutCache(x, y, w, P, f)


FORWARD = leave_one_out_loss
GIVEN = (masked_softmax, LeaveOneOutCache, leave_one_out_loss)


def nw_leave_one_out(dL, cache):
    """The gradient of w.

    dL     ()                what the loss L is multiplied with
    cache  LeaveOneOutCache  as above

    Returns dw, one number.
    """
    x, y, w, P, f = cache
    # L = mean((f − y)²)
    df = dL * 2.0 * (f - y) / len(x)
    # f = P y,  P = softmax(S)
    dP = df[:, None] * y
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    # S = −(u w)² / 2
    u = x[:, None] - x
    return -w * (dS * u * u).sum()


def specification(dL, cache):
    """Point by point: ∂f_i/∂w = −w Σ_j p_ij (y_j − f_i) (x_i − x_j)²."""
    x, y, w, P, f = cache
    n, dw = len(x), 0.0
    for i in range(n):
        for j in range(n):
            slope = -w * P[i, j] * (y[j] - f[i]) * (x[i] - x[j]) ** 2
            dw += dL * 2.0 * (f[i] - y[i]) / n * slope
    return np.asarray(dw)


def cases(rng):
    def distinct(n):
        return rng.choice(np.arange(-5.5, 6.0), n, replace=False) / 8.0

    def inputs(n, leave_out):
        w = np.asarray(rng.choice([0.75, 1.25, -1.5, 2.0]))
        return distinct(n), 2.0 * distinct(n), w, leave_out

    return {
        "three points, leave-one-out": inputs(3, True),
        "two points, in sample": inputs(2, False),
        "five points, leave-one-out": inputs(5, True),
        "four points, in sample": inputs(4, False),
        "six points, leave-one-out": inputs(6, True),
    }


HINTS = (
    "Leaving one out is a mask. What does a masked softmax's backward need to know of its mask, "
    "beside the weights?",
    "Nothing: a masked weight is 0 in P, and so is its dS. The same lines serve both cases. Start "
    "from df_i = dL · 2 (f_i − y_i)/n.",
    "dP_ij = df_i y_j; dS = P ⊙ (dP − rowsum(dP ⊙ P)); dw = −w Σ_ij dS_ij (x_i − x_j)².",
)

DERIVATION = r"""
Write $u_{ij} = x_i - x_j$.

**1.** $L = \frac1n \sum_i (f_i - y_i)^2$ gives $df_i = dL \cdot \frac2n (f_i - y_i)$. (The targets
$y_i$ do not depend on $w$.)

**2.** $f_i = \sum_j p_{ij} y_j$ and the softmax give

$$ ds_{ij} = p_{ij} \Bigl( dp_{ij} - \sum_l dp_{il}\, p_{il} \Bigr)
   = df_i\, p_{ij}\,(y_j - f_i) . $$

**3.** Where $i = j$ is left out, it is left out of numerator and denominator: the other weights of
the row sum to 1, and $p_{ii} = 0$. The formula above does not change; it reads the mask from $P$.

**4.** $s_{ij} = -\tfrac12 u_{ij}^2 w^2$, so $\partial s_{ij} / \partial w = -w\, u_{ij}^2$, and the
one $w$ collects from all pairs:

$$ dw = -w \sum_{ij} ds_{ij}\, u_{ij}^2 . $$

In sample, $p_{ii}$ is the largest weight of its row. For large $w$ it tends to 1, $f_i$ to $y_i$,
and $L$ to 0: it is fitted better and better and says less and less. Leave-one-out, a $w$ that is
too large is punished, since the prediction is then the value of the nearest other point alone.
"""


MISTAKES = {
    **at(2, SOFTMAX_BACKWARD),
    "itself included": (
        3,
        "x, y, w, P, f = cache",
        "x, y, w, P, f = cache\n"
        "    E = np.exp(-0.5 * ((x[:, None] - x) * w) ** 2)\n"
        "    P = E / E.sum(axis=-1, keepdims=True)\n    f = P @ y",
        "The weights were made anew, over all points: where one is to be left out, each point "
        "still sees its own value.",
    ),
    "left out after the softmax": (
        3,
        "x, y, w, P, f = cache",
        "x, y, w, P, f = cache\n"
        "    E = np.exp(-0.5 * ((x[:, None] - x) * w) ** 2)\n"
        "    P = E / E.sum(axis=-1, keepdims=True) * (P > 0)\n    f = P @ y",
        "The pairs i = j were left out after the softmax: the weights that are left do not sum to "
        "1. Leave them out before it, as P in the cache does.",
    ),
    "always left out": (
        3,
        "x, y, w, P, f = cache",
        "x, y, w, P, f = cache\n"
        "    E = np.exp(-0.5 * ((x[:, None] - x) * w) ** 2) * ~np.eye(len(x), "
        "dtype=bool)\n    P = E / E.sum(axis=-1, keepdims=True)\n    f = P @ y",
        "The pairs i = j were left out in sample, too. P in the cache knows when.",
    ),
    "upstream left out": (1, "dL * 2.0", "2.0",
        "dL was not used. The loss may be a part of a greater one: its gradient is a factor."),
    "2 left out": (1, "dL * 2.0 *", "dL *",
        "The 2 of the square is missing: df = dL · 2 (f − y)/n."),
    "n left out": (1, " / len(x)", "", "L is a mean over the points: the factor 1/n is missing."),
    "divided by n - 1": (1, "len(x)", "(len(x) - 1)",
        "The loss is a mean over n points, also where one is left out of each prediction: divide "
        "by n, not by n − 1."),
    "no residual": (1, "2.0 * (f - y)", "np.ones_like(y)",
        "The square was not differentiated: df has the factor f − y of each point."),
    "w left out": (4, "-w * (dS", "-(dS", "The factor w is missing: the derivative of w²/2 is w."),
    "half left out": (4, "-w * (dS", "-2.0 * w * (dS",
        "The square brings down a factor 2, which cancels the ½; it is left over."),
    "not squared": (4, "dS * u * u", "dS * u",
        "The distance enters squared, in the score as in its derivative by w."),
    "centred at the point's own value": (
        2,
        "dP - (dP * P).sum(axis=-1, keepdims=True)",
        "dP - (df * y)[:, None]",
        "The values were compared with the point's own value y_i; the row sum of the softmax "
        "brings the prediction f_i.",
    ),
}
