r"""d2l 11.7.8, level 4: Which mask for a language model

A language model must not see the token that it predicts: output $i$ may depend on the inputs
$0 \dots i$ and on no later one. Self-attention with a causal mask keeps to that, and its Jacobian
shows it. With queries, keys and values all equal to $X$,

$$ p_{ij} = \frac{e^{x_i \cdot x_j / \sqrt D}}{\sum_{k \le i} e^{x_i \cdot x_k / \sqrt D}}
   \;\; (j \le i), \qquad p_{ij} = 0 \;\; (j > i), \qquad o_i = \sum_j p_{ij}\, x_j . $$

Write down all its derivatives, as a matrix for each pair of positions, and find them 0 above the
diagonal. Exercise 3 of d2l 11.7.

    X   (T, D)         inputs
    J   (T, T, D, D)   $J_{im} = \partial o_i / \partial x_m$; its entry $[a, b]$ is
                       $\partial o_{ia} / \partial x_{mb}$
"""

import math

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"J": "output input out-dim in-dim"}


def causal_jacobian(X):
    """The derivative of each output of causal self-attention with respect to each input.

    X  (T, D)  queries, keys and values at once

    Returns J (T, T, D, D).
    """
    T, D = X.shape
    scale = 1.0 / math.sqrt(D)
    S = np.where(np.tri(T, dtype=bool), X @ X.T * scale, -np.inf)
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    P = E / E.sum(axis=-1, keepdims=True)
    away = X - (P @ X)[:, None]  # x_m − o_i
    # as a value, as a key
    J = P[..., None, None] * (
        np.eye(D, dtype=X.dtype) + scale * away[..., :, None] * X[:, None, None, :]
    )
    # as the query
    i = np.arange(T)
    J[i, i] += scale * np.einsum("ik,ika,kb->iab", P, away, X)
    return J


def specification(X):
    """Column by column: move one number by a tiny imaginary step, and see what the outputs do."""
    T, D = X.shape
    J = np.zeros((T, T, D, D))
    h = 1e-30
    for m in range(T):
        for b in range(D):
            Z = X.astype(complex)
            Z[m, b] += 1j * h
            for i in range(T):
                scores = [Z[i] @ Z[j] / math.sqrt(D) for j in range(i + 1)]
                top = max(s.real for s in scores)
                weights = np.exp(np.array(scores) - top)
                J[i, m, :, b] = (weights / weights.sum() @ Z[: i + 1]).imag / h
    return J


def cases(rng):
    return {
        "two tokens of one number": (draw(rng, 2, 1),),
        "three tokens of two numbers": (draw(rng, 3, 2),),
        "as many tokens as numbers": (draw(rng, 3, 3),),
        "four tokens of three numbers": (draw(rng, 4, 3),),
        "one token": (draw(rng, 1, 2),),
        "large scores, in float64": (128.0 * draw(rng, 3, 2),),
    }


HINTS = (
    "An input x_m moves o_i in three ways: as a value, as a key, and, if m = i, as the query. Find "
    "each as if the other two were held fixed, and add them.",
    "As a value: p_im times the identity. For the others, first ∂o_i/∂s_im = p_im (x_m − o_i), "
    "where the −o_i comes from the shared denominator. Then s_im = x_i · x_m/√D.",
    "J_im = p_im (I + (x_m − o_i) x_iᵀ/√D), and on the diagonal also Σ_k p_ik (x_k − o_i) x_kᵀ/√D.",
)

DERIVATION = r"""
**1.** The mask comes before the softmax: the weights of row $i$ are a softmax over $k \le i$ only,
and sum to 1 there.

**2.** *As a value*, with the weights held fixed: $o_i = \sum_j p_{ij} x_j$ gives $p_{im} I$.

**3.** A score moves all weights of its row, $\partial p_{ij} / \partial s_{im} = p_{ij}(\delta_{jm}
- p_{im})$, hence

$$ \frac{\partial o_i}{\partial s_{im}} = \sum_j x_j\, p_{ij} (\delta_{jm} - p_{im})
   = p_{im}\,(x_m - o_i) . $$

**4.** *As a key*, $s_{im} = x_i \cdot x_m / \sqrt D$ has the gradient $x_i / \sqrt D$ with respect
to $x_m$. The chain rule makes a column times a row, output by input:

$$ p_{im}\,(x_m - o_i)\, x_i^\top / \sqrt D . $$

**5.** *As the query*, only for $m = i$: every score $s_{ik}$ of the row has the gradient
$x_k / \sqrt D$ with respect to $x_i$, so

$$ \frac{1}{\sqrt D} \sum_k p_{ik}\,(x_k - o_i)\, x_k^\top
   = \frac{1}{\sqrt D} \operatorname{Cov}_{p_i}[x] . $$

**6.** Together

$$ J_{im} = p_{im} \Bigl( I + \frac{(x_m - o_i)\, x_i^\top}{\sqrt D} \Bigr)
   + \delta_{im} \frac{\operatorname{Cov}_{p_i}[x]}{\sqrt D} . $$

For $m > i$ both terms are 0, exactly: $p_{im} = 0$ and $m \ne i$. That holds for any number of such
layers, since a product of lower triangular matrices is one. So a language model needs the decoder's
mask, and no encoder; without the mask, training would teach it to copy.
"""


MISTAKES = {
    "no mask": (1, "np.where(np.tri(T, dtype=bool), X @ X.T * scale, -np.inf)", "X @ X.T * scale",
        "There is no mask: outputs depend on inputs that come later, and the Jacobian is not 0 "
        "above the diagonal."),
    "no shift": (1, "np.exp(S - S.max(axis=-1, keepdims=True))", "np.exp(S)",
        "No maximum was subtracted from the scores before exp: large ones overflow."),
    "mask after": (
        1, [
            ("np.where(np.tri(T, dtype=bool), X @ X.T * scale, -np.inf)", "X @ X.T * scale"),
            ("    P = E / E.sum(axis=-1, keepdims=True)",
             "    P = E / E.sum(axis=-1, keepdims=True) * np.tri(T)"),
        ],
        "The mask was applied after the softmax. The weights that are left do not sum to 1, and "
        "later inputs still act through the denominator.",
    ),
    "looks ahead": (1, "bool), X", "bool).T, X",
        "The mask is transposed: each output depends on the inputs from its own onward."),
    "not itself": (1, "tri(T,", "tri(T, k=-1,",
        "The mask hides each position from itself, so the first output has no key to attend to."),
    "as a value": (2, "np.eye(D, dtype=X.dtype) + scale", "scale",
        "The path through the values is missing: p_im times the identity."),
    "as a key": (4, " + scale * away[..., :, None] * X[:, None, None, :]", "",
        "The path through the keys is missing: x_m is also the key in the score s_im."),
    "as the query": (5, '    J[i, i] += scale * np.einsum("ik,ika,kb->iab", P, away, X)\n', "",
        "The path through the query is missing: on the diagonal, x_i is also the query of all "
        "scores of its row."),
    "not centred": (3, "- (P @ X)", "- 0.0 * (P @ X)",
        "−o_i is missing: ∂o_i/∂s_im = p_im (x_m − o_i). A score moves every weight of its row "
        "through the denominator."),
    "row times column": (
        4, "away[..., :, None] * X[:, None, None, :]", "away[..., None, :] * X[:, None, :, None]",
        "The path through the keys is transposed: the output's index goes with x_m − o_i, the "
        "input's with x_i.",
    ),
    "scale left out": (4, "1.0 / math.sqrt(D)", "1.0",
        "The factor 1/√D is missing, in the scores as in their derivatives."),
    "scale left out of the gradient": (4, [("+ scale *", "+"), ("+= scale *", "+=")],
        "The scores have their factor 1/√D, but their derivatives do not."),
    "scale left out of the keys' path": (
        4,
        "+ scale * away",
        "+ away",
        "The path through the keys lacks the factor 1/√D: the score is x_i · x_m/√D.",
    ),
    "scale left out of the query's path": (
        5,
        "+= scale *",
        "+=",
        "The path through the query lacks the factor 1/√D: the score is x_i · x_k/√D.",
    ),
}
