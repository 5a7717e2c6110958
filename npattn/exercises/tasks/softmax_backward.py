r"""d2l 11.3.2, level 2: The gradient of softmax

A loss depends on the weights $P = \operatorname{softmax}(S)$, and you are given how it does:
$dP = \partial\,\text{loss} / \partial P$. Find $dS = \partial\,\text{loss} / \partial S$.

    P    (..., T)   the weights, each row of the last axis a softmax by itself
    dP   (..., T)   the gradient with respect to them
    dS   (..., T)   the gradient with respect to the scores

You do not need S: the weights hold all that matters. A row without an allowed key has weights 0
and gets the gradient 0.
"""

import numpy as np  # noqa: F401  (a mistake is written with it)

from npattn.exercises.drawing import draw, draw_mask
from npattn.exercises.given import masked_softmax

ANSWER = {"dS": "key"}
FORWARD = masked_softmax
SHAPES = {"S": "... T", "mask": "... T"}


def softmax_backward(dP, P):
    """The gradient of the scores from the gradient of the weights.

    dP  (..., T)  gradient of the loss with respect to P
    P   (..., T)  what the softmax returned

    Returns dS, shaped like P.
    """
    return P * (dP - (dP * P).sum(axis=-1, keepdims=True))


def cases(rng):
    return {
        "three scores": (draw(rng, 3),),
        "two queries, three keys": (draw(rng, 2, 3),),
        "a mask, and a query that may attend to nothing": (
            draw(rng, 3, 4), draw_mask(rng, 3, 4),
        ),
        "as many queries as keys": (draw(rng, 3, 3),),
        "every axis of another length": (draw(rng, 2, 3, 5),),
    }


HINTS = (
    "Each weight depends on all scores of its row: through its own exponential, and through the "
    "sum that all of them share. First find ∂p_j/∂s_k for one row.",
    "∂p_j/∂s_k = p_j (δ_jk − p_k). Now sum over j: ds_k = Σ_j dp_j ∂p_j/∂s_k. The δ picks one term "
    "of the sum; what does the other part have in common for all k?",
    "ds_k = p_k (dp_k − Σ_j dp_j p_j). The sum is one number per row: `keepdims=True`.",
)

DERIVATION = r"""
Take one row, $p_j = e^{s_j} / z$ with $z = \sum_k e^{s_k}$.

**1.** The numerator depends on $s_j$ alone, the denominator on every score:

$$ \frac{\partial p_j}{\partial s_k} = \frac{e^{s_j}\,\delta_{jk}}{z} - \frac{e^{s_j} e^{s_k}}{z^2}
   = p_j\,(\delta_{jk} - p_k) . $$

**2.** A score moves the loss through every weight of its row, so sum over all of them:

$$ ds_k = \sum_j dp_j\, p_j\,(\delta_{jk} - p_k) = p_k\, dp_k - p_k \sum_j dp_j\, p_j . $$

**3.** The sum is the same number for all $k$ of a row, and $p_k$ is a common factor:

$$ dS = P \odot \bigl(dP - \operatorname{rowsum}(dP \odot P)\bigr) . $$

Each row of $dS$ sums to 0: adding a constant to a row of scores changes no weight. Where $P$ is 0
(a masked key, a dead row), $dS$ is 0 too, with no mask in sight.
"""


MISTAKES = {
    "diag and outer": (3, "P * (dP - (dP * P).sum(axis=-1, keepdims=True))",
        "(np.diag(P) - np.outer(P, P)) @ dP",
        "diag(P) − outer(P, P) is the Jacobian of one row: np.diag and np.outer know no leading "
        "axes. For all rows at once no matrix is needed: P ⊙ (dP − rowsum(dP ⊙ P))."),
    "no row sum": (1, " - (dP * P).sum(axis=-1, keepdims=True)", "",
        "Only the numerator was differentiated. All weights of a row share the denominator, so "
        "each score also moves every other weight: the term with the row sum is missing."),
    "diagonal": (2, "dP - (dP * P).sum(axis=-1, keepdims=True)", "dP * (1.0 - P)",
        "Only the diagonal of the Jacobian was used, ∂p_k/∂s_k = p_k (1 − p_k), as for a sigmoid. "
        "A score moves the other weights of its row as well."),
    "P only once": (3, "P * (dP -", "(P * dP -",
        "The row sum must be multiplied by P as well: P is a common factor of both terms."),
    "P left out": (3, "P * (dP", "(dP",
        "The factor P in front is missing: it belongs to both terms."),
    "plus": (1, "dP - (", "dP + (",
        "The row sum is added, not subtracted: the derivative of 1/z brings a minus sign."),
    "plain sum": (2, "(dP * P)", "dP",
        "The sum is over dP alone; each term must be weighed by its P: Σ_j dP_j P_j."),
    "mean": (2, ".sum(", ".mean(",
        "A mean was taken where a sum belongs: Σ_j dP_j P_j is not divided by anything."),
    "wrong axis": (3, "axis=-1", "axis=-2 if P.ndim > 1 else -1",
        "The sum runs over the queries (axis −2). A softmax row is the last axis."),
    "no keepdims": (3, ", keepdims=True", "",
        "The row sum was taken without `keepdims=True`. Where there are as many rows as columns, "
        "it is then subtracted from the columns; elsewhere it does not fit."),
    "all rows": (3, "axis=-1", "axis=None",
        "One sum was taken over the whole array. Each row has a sum of its own."),
    "cross-entropy": (1, "P * (dP - (dP * P).sum(axis=-1, keepdims=True))", "P - dP",
        "P − dP is the gradient of a cross-entropy whose targets are dP. Here dP is any gradient, "
        "with no loss behind it that is known."),
}
