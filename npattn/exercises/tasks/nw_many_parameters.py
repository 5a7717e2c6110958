r"""d2l 10.2.6, level 3: Pooling with more parameters

Nadaraya–Watson pooling with one learned width is the same narrow or wide everywhere. Here each
known point $j$ gets two numbers of its own: a width $1/w_j$, for how far it reaches, and a bias
$b_j$, for how much it counts at all,

$$ s_{ij} = -\tfrac12 \bigl( (x_i - k_j)\, w_j \bigr)^2 + b_j, \qquad
   P = \operatorname{softmax}(S), \qquad f_i = \sum_j p_{ij}\, y_j . $$

Find the gradients of all $w_j$ and $b_j$, and of the values, which may be learned as well.
Exercises 3 and 4 of d2l 10.2 (Chinese edition; in the English one, 11.2).

    x    (Tq,)      where to predict
    k    (Tk,)      where values are known
    y    (Tk,)      the values
    w    (Tk,)      1/width of each known point
    b    (Tk,)      bias of each known point
    P    (Tq, Tk)   the weights
    df   (Tq,)      the gradient with respect to the predictions
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw
from npattn.exercises.given import masked_softmax
from npattn.exercises.steps import SOFTMAX_BACKWARD, at

ANSWER = {"dw": "key", "db": "key", "dy": "key"}


class ManyCache(NamedTuple):
    """What the backward may use."""

    x: np.ndarray  # (Tq,)
    k: np.ndarray  # (Tk,)
    y: np.ndarray  # (Tk,)
    w: np.ndarray  # (Tk,)
    b: np.ndarray  # (Tk,)
    P: np.ndarray  # (Tq, Tk)


def pooling(x, k, y, w, b):
    """f (Tq,) and the cache."""
    u = x[:, None] - k
    P = masked_softmax(-0.5 * (u * w) ** 2 + b)
    return P @ y, ManyCache(x, k, y, w, b, P)


FORWARD = pooling
GIVEN = (masked_softmax, ManyCache, pooling)


def nw_many_parameters(df, cache):
    """The gradients of what is learned.

    df     (Tq,)      gradient of the loss with respect to f
    cache  ManyCache  as above

    Returns dw, db and dy, each (Tk,).
    """
    x, k, y, w, b, P = cache
    dP = df[:, None] * y
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    u = x[:, None] - k
    return -w * (dS * u * u).sum(axis=0), dS.sum(axis=0), df @ P


def cases(rng):
    def inputs(Tq, Tk):
        return (draw(rng, Tq), *(draw(rng, Tk) for _ in range(4)))

    x = draw(rng, 4)
    return {
        "one query, two keys": inputs(1, 2),
        "two queries, three keys": inputs(2, 3),
        "as many queries as keys": inputs(3, 3),
        "five queries, two keys": inputs(5, 2),
        "predictions at the keys themselves": (x, x, *(draw(rng, 4) for _ in range(3))),
    }


HINTS = (
    "dS is the same as without parameters. Each of w_j and b_j then enters one column of the "
    "scores: which axis is to be summed?",
    "∂s_ij/∂b_j = 1 and ∂s_ij/∂w_j = −w_j (x_i − k_j)²; both are shared by all queries i.",
    "db = dS.sum(axis=0); dw = −w · (dS u²).sum(axis=0) with u_ij = x_i − k_j; dy_j = Σ_i p_ij "
    "df_i.",
)

DERIVATION = r"""
Write $u_{ij} = x_i - k_j$.

**1.** $f_i = \sum_j p_{ij} y_j$ gives $dp_{ij} = df_i\, y_j$ and
$dy_j = \sum_i p_{ij}\, df_i$, that is $dy = P^\top df$.

**2.** Through the softmax, $ds_{ij} = p_{ij} \bigl( dp_{ij} - \sum_l dp_{il}\, p_{il} \bigr)$.

**3.** $\partial s_{ij} / \partial w_j = -w_j\, u_{ij}^2$ and $\partial s_{ij} / \partial b_j = 1$.
Other scores of the row feel $w_j$ only through the denominator, which is in $dS$ already.

**4.** $w_j$ and $b_j$ are shared by all queries, so their gradients are sums over $i$, down the
columns:

$$ dw_j = -w_j \sum_i ds_{ij}\, u_{ij}^2, \qquad db_j = \sum_i ds_{ij} . $$

The rows of $dS$ sum to 0, hence $\sum_j db_j = 0$: adding one number to all biases changes nothing.
A point whose value only misleads gets a low $b_j$, which no width could do for it. With one $w$ for
all, its gradient is $\sum_j dw_j$, that of `nadaraya-watson-dw`.
"""


MISTAKES = {
    **at(2, SOFTMAX_BACKWARD),
    "not squared": (3, "dS * u * u", "dS * u",
        "The distance x − k enters squared, in the score as in its derivative by w."),
    "w left out": (3, "-w * (dS", "-(dS",
        "The factor w_j is missing in dw: the derivative of w²/2 is w."),
    "half left out": (3, "-w * (dS", "-2.0 * w * (dS",
        "The square brings down a factor 2, which cancels the ½; in dw it is left."),
    "b in db": (3, ", dS.sum(", ", b * dS.sum(",
        "db has a factor b. The score is b plus something: its derivative is 1."),
    "dS of b from P": (2, "dS.sum(axis=0)", "df @ P",
        "db uses the weights P and df alone, as dy does; a bias acts on the scores: sum dS."),
    "summed over keys": (
        4, [("u).sum(axis=0)", "u).sum(axis=1)"), ("dS.sum(axis=0)", "dS.sum(axis=1)")],
        "The sums for dw and db run along the rows, over the keys. w_j and b_j belong to column j: "
        "sum over the queries.",
    ),
    "mean over queries": (4, [("u).sum", "u).mean"), ("dS.sum", "dS.mean")],
        "Means over the queries were taken for dw and db; what they share collects a sum."),
    "one width for all": (4, "(dS * u * u).sum(axis=0)", "np.full_like(w, (dS * u * u).sum())",
        "The sum over all pairs was given to every w_j. Each has its own column of the scores."),
    "dy without transpose": (1, "df @ P", "P @ df",
        "dy uses P, not its transpose: value j collects p_ij df_i from all queries i."),
    "y in dy": (1, "df @ P", "y * (df @ P)",
        "dy has a factor y. The prediction is linear in y: ∂f_i/∂y_j = p_ij."),
}
