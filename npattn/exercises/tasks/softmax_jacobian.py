r"""d2l 11.3.2, level 1: The Jacobian of softmax

How does each weight change with each score? For a row of scores $s$ with weights
$p = \operatorname{softmax}(s)$, write down the whole matrix

$$ J_{jk} = \frac{\partial p_j}{\partial s_k} . $$

    S   (..., T)      scores near 0; `...` stands for any number of leading axes, also none
    J   (..., T, T)   a matrix for each row: row j for the weight, column k for the score
"""

import numpy as np

from npattn.exercises.drawing import draw
from npattn.exercises.given import masked_softmax as softmax

ANSWER = {"J": "weight score"}
EXCLUDED = {"large": "scores near 0"}


def softmax_jacobian(S):
    """The Jacobian of softmax at each row of scores.

    S  (..., T)  scores of ordinary size

    Returns J (..., T, T).
    """
    E = np.exp(S)
    P = E / E.sum(axis=-1, keepdims=True)
    return P[..., :, None] * (np.eye(S.shape[-1], dtype=S.dtype) - P[..., None, :])


def specification(S):
    """Column by column: move one score by a tiny imaginary step, and see what the weights do."""
    J = np.zeros((*S.shape, S.shape[-1]))
    h = 1e-30
    for k in range(S.shape[-1]):
        moved = S.astype(complex)
        moved[..., k] += 1j * h
        J[..., :, k] = softmax(moved).imag / h
    return J


def cases(rng):
    return {
        "two scores": (draw(rng, 2),),
        "three scores": (draw(rng, 3),),
        "two rows of three scores": (draw(rng, 2, 3),),
        "leading axes": (draw(rng, 2, 3, 4),),
    }


HINTS = (
    "Write p_j = e^{s_j} / z with z = Σ_k e^{s_k}, and use the quotient rule twice: for j = k and "
    "for j ≠ k.",
    "On the diagonal p_j (1 − p_j), off the diagonal −p_j p_k. Can one formula with δ_jk say both?",
    "J_jk = p_j (δ_jk − p_k): `P[..., :, None] * (np.eye(T) - P[..., None, :])`.",
)

DERIVATION = r"""
**1.** $p_j = e^{s_j} / z$ with $z = \sum_k e^{s_k}$. Every score is part of $z$, and
$\partial z / \partial s_k = e^{s_k}$.

**2.** The quotient rule, where the numerator contributes only if $j = k$:

$$ \frac{\partial p_j}{\partial s_k}
   = \delta_{jk} \frac{e^{s_j}}{z} - \frac{e^{s_j} e^{s_k}}{z^2} . $$

**3.** In terms of the weights alone:

$$ J_{jk} = p_j\,(\delta_{jk} - p_k), \qquad J = \operatorname{diag}(p) - p\,p^\top . $$

$J$ is symmetric. Its rows and columns sum to 0, since the weights keep their sum and a constant
added to all scores changes nothing.
"""


MISTAKES = {
    "diag and outer": (
        3, "P[..., :, None] * (np.eye(S.shape[-1], dtype=S.dtype) - P[..., None, :])",
        "np.diag(P) - np.outer(P, P)",
        "diag(P) − outer(P, P) is the Jacobian of one row: np.diag and np.outer know no leading "
        "axes. For all rows at once write p_j (δ_jk − p_k) with `[..., None]`."),
    "squares only": (2, " - P[..., None, :])", " * (1.0 - P[..., None, :]))",
        "Only the diagonal is filled, p_j (1 − p_j), as for a sigmoid. Every score is part of the "
        "denominator, so the entries off the diagonal are not 0."),
    "numerator only": (1, " - P[..., None, :])", ")",
        "The denominator was held fixed. It depends on every score: the term −p_j p_k is missing."),
    "denominator only": (2, "np.eye(S.shape[-1], dtype=S.dtype) - P", "-P",
        "Only the denominator was differentiated. Where j = k, the numerator adds p_j."),
    "plus": (2, ") - P[", ") + P[",
        "The product p_j p_k is added; the quotient rule subtracts it."),
    "bare delta": (
        3, [
            ("P[..., :, None] * (np", "(np"),
            ("- P[..., None, :]", "- P[..., :, None] * P[..., None, :]"),
        ],
        "The factor p_j must multiply δ_jk as well: the diagonal holds p_j − p_j², not 1 − p_j².",
    ),
    "wrong axis": (1, "axis=-1", "axis=-2 if S.ndim > 1 else -1",
        "The weights are those of the columns (axis −2). A softmax row is the last axis."),
}
