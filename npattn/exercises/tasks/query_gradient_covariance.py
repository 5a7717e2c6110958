r"""d2l 11.1.3, level 3: Attention's gradient is a covariance

Where keys and values are the same vectors, attention returns the mean of the keys under the
weights,

$$ p_j = \frac{e^{q \cdot k_j}}{\sum_l e^{q \cdot k_l}}, \qquad
   o = \sum_j p_j\, k_j = \mathrm{E}_p[k] . $$

Show that its derivative with respect to the query is a covariance,
$\nabla_q\, o = \operatorname{Cov}_p[k]$, and compute it. The scores have no $1/\sqrt D$ here.
Exercise 2 of d2l 11.1 (Chinese edition: section 10.1).

    q   (..., D)      queries, each by itself
    K   (T, D)        keys, which are the values as well; the same for all queries
    J   (..., D, D)   $J_{ab} = \partial o_a / \partial q_b$
"""

import numpy as np

from npattn.exercises.drawing import draw
from npattn.exercises.given import masked_softmax

ANSWER = {"J": "out-dim query-dim"}


def query_gradient_covariance(q, K):
    """The derivative of attention's output with respect to its query, where V = K.

    q  (..., D)  queries
    K  (T, D)    keys and values

    Returns J (..., D, D).
    """
    P = masked_softmax(q @ K.T)
    away = K - (P @ K)[..., None, :]
    return away.swapaxes(-1, -2) @ (P[..., None] * away)


def specification(q, K):
    """Column by column: move one number of the query by a tiny imaginary step."""
    D, h = K.shape[1], 1e-30
    J = np.zeros((*q.shape, D))
    for row in np.ndindex(q.shape[:-1]):
        for b in range(D):
            z = q[row].astype(complex)
            z[b] += 1j * h
            scores = K @ z
            powers = np.exp(scores - scores.real.max())
            J[row][:, b] = (powers / powers.sum() @ K).imag / h
    return J


def cases(rng):
    X = draw(rng, 3, 3)
    low_and_high = draw(rng, 3, 2) * np.array([[1.0], [4096.0], [1.0]])
    return {
        "three keys of one number": (draw(rng, 1), draw(rng, 3, 1)),
        "two keys in the plane": (draw(rng, 2), draw(rng, 2, 2)),
        "four queries, five keys": (draw(rng, 4, 3), draw(rng, 5, 3)),
        "the keys as queries": (X, X),
        "a batch of queries": (draw(rng, 2, 3, 4), draw(rng, 5, 4)),
        "large scores beside small ones, in float64": (low_and_high, draw(rng, 4, 2)),
    }


HINTS = (
    "First one weight: ∂p_j/∂q. The numerator gives p_j k_j; what does the denominator give?",
    "∂p_j/∂q = p_j (k_j − o), since Σ_l p_l k_l is the output o itself. Now differentiate "
    "o = Σ_j p_j k_j.",
    "J = Σ_j p_j k_j (k_j − o)ᵀ = Σ_j p_j (k_j − o)(k_j − o)ᵀ: centre the keys at o, weigh them by "
    "p.",
)

DERIVATION = r"""
**1.** The output is the mean of the keys under $p$: $o = \sum_j p_j k_j = \mathrm{E}_p[k]$.

**2.** A score has the derivative $k_j$ with respect to the query. Numerator and shared denominator
give

$$ \frac{\partial p_j}{\partial q} = p_j \Bigl( k_j - \sum_l p_l\, k_l \Bigr) = p_j\,(k_j - o) . $$

**3.** The values do not depend on the query; each is a column beside the row $\partial p_j /
\partial q$:

$$ J = \sum_j k_j\, p_j\,(k_j - o)^\top = \sum_j p_j\, k_j k_j^\top - o\,o^\top . $$

**4.** $\sum_j p_j (k_j - o) = 0$, so $o$ may be subtracted from the first factor as well:

$$ J = \sum_j p_j\,(k_j - o)(k_j - o)^\top = \operatorname{Cov}_p[k] . $$

The weights $p$ take the place of $1/T$; nothing else is divided. $J$ is symmetric and has no
negative eigenvalue, which is no wonder: $o$ is the gradient of $\log \sum_j e^{q \cdot k_j}$, a
convex function, and $J$ is its Hessian. A query moves the output only in directions in which the
attended keys differ, and where one key takes all, not at all. (With the scores scaled by $1/\sqrt
D$, so is $J$.)
"""


MISTAKES = {
    "scaled scores": (1, "q @ K.T)", "q @ K.T / K.shape[-1] ** 0.5)",
        "The weights were made with scores scaled by 1/√D; here they are q · k."),
    "over the queries": (
        1,
        "masked_softmax(q @ K.T)",
        "masked_softmax((q @ K.T).swapaxes(-1, min(2, q.ndim) * -1)).swapaxes(-1, "
        "min(2, q.ndim) * -1)",
        "The softmax runs over the queries; each query has weights of its own, over the keys.",
    ),
    "not centred": (2, "K - (P @ K)[..., None, :]", "K",
        "The mean was not subtracted: Σ p k kᵀ is the second moment. The shared denominator brings "
        "the term −o oᵀ."),
    "plain mean": (2, "(P @ K)[..., None, :]", "K.mean(axis=0)",
        "The keys were centred at their plain mean; it is their mean under the weights, o."),
    "only the mean's square": (
        3,
        "return away.swapaxes(-1, -2) @ (P[..., None] * away)",
        "return (P @ K)[..., :, None] * (P @ K)[..., None, :]",
        "This is o oᵀ, the term to be subtracted; Σ p k kᵀ is missing.",
    ),
    "uniform weights": (4, "(P[..., None]", "(np.full_like(P, 1.0 / len(K))[..., None]",
        "Every key counts 1/T, as in a plain covariance; each should count with its weight p_j."),
    "weights left out": (4, "P[..., None] * away", "away",
        "The weights are missing in the sum: each key counts with its p_j."),
    "weights squared": (4, "(P[..., None]", "(P[..., None] ** 2",
        "The weights enter squared; they belong into the sum once."),
    "p (1 - p)": (2, "(P[..., None]", "((P * (1.0 - P))[..., None]",
        "p (1 − p) is the derivative of a weight with respect to its own score alone; all scores "
        "move with the query, and what is left is p."),
    "T - 1": (4, "* away)", "* away) * (len(K) / (len(K) - 1))",
        "There is a factor T/(T − 1), as for a covariance estimated from a sample. The weights sum "
        "to 1: nothing is estimated here."),
    "scaled": (2, "* away)", "* away) / K.shape[-1] ** 0.5",
        "There is a factor 1/√D; the scores are q · k, without it."),
    "keys by keys": (
        3,
        "away.swapaxes(-1, -2) @ (P[..., None] * away)",
        "away @ (P[..., None] * away).swapaxes(-1, -2)",
        "The product runs over the dims, and a key by key matrix came out; sum over the keys.",
    ),
    "only variances": (4, "* away)", "* away) * np.eye(K.shape[-1])",
        "Only the diagonal was filled; each number of the query moves all numbers of the output."),
    "summed over the queries": (
        3, [
            ("return away", "J = away"),
            ("* away)", "* away)\n    return J.reshape(-1, *J.shape[-2:]).sum(axis=0)"),
        ],
        "The matrices of all queries were added; each query has its own.",
    ),
    "unbiased": (
        4,
        "* away)",
        "* away) / (1.0 - (P * P).sum(axis=-1))[..., None, None]",
        "The matrix was divided by 1 − Σ p², as for a covariance estimated from a weighted "
        "sample. The weights sum to 1: nothing is estimated here.",
    ),
}
