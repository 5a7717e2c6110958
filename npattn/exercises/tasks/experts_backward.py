r"""beyond d2l, level 4: The backward of a mixture of experts

Each token goes through the $k$ of $E$ experts that its router scores highest. Their outputs $f_e$
are given here; a softmax over the chosen scores weighs them. A second output, the balance, is 1
where all experts are used alike and more where they are not:

$$ g = x R, \qquad P_n = \operatorname{softmax}(g_n) \text{ over the chosen}, \qquad
   y_n = \sum_e p_{ne} f_{ne}, $$

$$ b = \frac{E}{N} \sum_n \sum_e h_e\, \bar p_{ne}, \qquad
   \bar P_n = \operatorname{softmax}(g_n) \text{ over all}, $$

where $h_e$ is the share of expert $e$ of all $N k$ choices. Which experts are chosen is a step, and
so are the shares: neither has a gradient. Find the gradients of the tokens, the router and the
experts' outputs. (Shazeer et al. 2017; Fedus et al. 2021.)

    X        (N, D)          tokens
    R        (D, E)          the router
    F        (N, E, Dy)      outputs of the experts
    chosen   (N, E)          bool, k in each row
    P        (N, E)          weights of the chosen ones, 0 elsewhere
    A        (N, E)          softmax over all scores
    dY       a pair (dy, db)   dy (N, Dy) and db, one number

Each gradient is shaped like what it belongs to; that of the output of an expert that was not chosen
has the gradient 0.
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw
from npattn.exercises.given import masked_softmax

ANSWER = {"dX": "token dim", "dR": "dim expert", "dF": "token expert dim"}


class ExpertsCache(NamedTuple):
    """What the backward may use."""

    X: np.ndarray       # (N, D)
    R: np.ndarray       # (D, E)
    F: np.ndarray       # (N, E, Dy)
    chosen: np.ndarray  # (N, E) bool
    P: np.ndarray       # (N, E)
    A: np.ndarray       # (N, E)


def experts(X, R, F, k):
    """(Y (N, Dy), balance) and the cache."""
    G = X @ R
    first = np.argsort(-G.real, axis=-1, kind="stable")[:, :k]
    chosen = (first[:, :, None] == np.arange(R.shape[-1])).any(axis=1)
    P, A = masked_softmax(G, chosen), masked_softmax(G)
    h = (chosen.mean(axis=0) / k).astype(X.real.dtype)
    balance = R.shape[-1] * (A @ h).mean()
    return ((P[:, :, None] * F).sum(axis=1), balance), ExpertsCache(X, R, F, chosen, P, A)


FORWARD = experts
GIVEN = (masked_softmax, ExpertsCache, experts)


def experts_backward(dY, cache):
    """The gradients of tokens, router and experts' outputs.

    dY     (dy, db)      gradients of the loss with respect to Y (N, Dy) and the balance
    cache  ExpertsCache  as above

    Returns dX, dR and dF, shaped like X, R and F.
    """
    X, R, F, chosen, P, A = cache
    dy, db = dY
    # y = Σ p f
    dF = P[:, :, None] * dy[:, None]
    dP = (F * dy[:, None]).sum(axis=-1)
    # b = E/N Σ h A
    h = (chosen.sum(axis=0) / chosen.sum()).astype(X.dtype)
    dA = db * R.shape[-1] / len(X) * h
    # P and A are softmaxes of G
    dG = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    dG = dG + A * (dA - (dA * A).sum(axis=-1, keepdims=True))
    # G = X R
    return dG @ R.T, X.T @ dG, dF


def cases(rng):
    def inputs(N, D, E, Dy, k):
        X, R, F = draw(rng, N, D), draw(rng, D, E), draw(rng, N, E, Dy)
        R += 1e-3 * np.arange(E)  # no two scores alike
        X[:, 0] += 0.0625 * np.arange(1, N + 1)
        return X, R, F, k

    return {
        "one token, two experts": inputs(1, 2, 2, 1, 1),
        "two of three experts": inputs(3, 2, 3, 2, 2),
        "every length different": inputs(5, 3, 4, 2, 2),
        "one of four experts": inputs(6, 2, 4, 3, 1),
        "all experts chosen": inputs(3, 4, 2, 3, 2),
        "everything of one length": inputs(3, 3, 3, 3, 1),
    }


HINTS = (
    "The choice is a step, so P is a softmax behind a mask, and the shares h are constants.",
    "Two paths lead to the scores: through P, with dp_ne = dy_n · f_ne, and through A, with "
    "dA = db E h / N in every row.",
    "dG = P ⊙ (dP − rowsum(dP ⊙ P)) + A ⊙ (dA − rowsum(dA ⊙ A)); dX = dG Rᵀ, dR = Xᵀ dG, "
    "dF = p dy.",
)

DERIVATION = r"""
**1.** $y_n = \sum_e p_{ne} f_{ne}$ is linear in both: $df_{ne} = p_{ne}\,dy_n$, which is 0 where
the expert was not chosen, and $dp_{ne} = dy_n \cdot f_{ne}$.

**2.** The balance is linear in the softmax over all scores, and the shares are constants:

$$ d\bar p_{ne} = db\, \frac{E}{N}\, h_e . $$

**3.** Both softmaxes have the gradient of a softmax, and that of the chosen ones is 0 elsewhere,
since $p_{ne} = 0$ there. The scores collect from both:

$$ dg = P \odot (dP - \operatorname{rowsum}(dP \odot P))
      + \bar P \odot (d\bar P - \operatorname{rowsum}(d\bar P \odot \bar P)) . $$

**4.** $G = X R$: $dX = dG\,R^\top$ and $dR = X^\top dG$. What the tokens give to the experts
themselves is not asked for here.
"""


MISTAKES = {
    "no balance": (3, "    dG = dG + A * (dA - (dA * A).sum(axis=-1, keepdims=True))\n", "",
        "The balance's gradient is missing, or is 0 because each expert has the same factor in "
        "place of its share. It reaches the scores through the softmax over all."),
    "balance alone": (3, "dG = dG + A *", "dG = A *",
        "Only the balance's gradient is there; the scores also act through the weights P."),
    "db ignored": (2, "db * R.shape[-1]", "R.shape[-1]",
        "db is not used: the balance comes with a factor, such as 0.01, in the loss."),
    "E left out": (2, "db * R.shape[-1] / len(X)", "db / len(X)",
        "The factor E of the balance is missing."),
    "N left out": (2, " / len(X) * h", " * h",
        "The division by the number of tokens is missing: the balance is a mean over them."),
    "choices for shares": (2, "chosen.sum(axis=0) / chosen.sum()", "chosen.mean(axis=0)",
        "The share was taken of the tokens, not of the choices: with k experts each it is k times "
        "too large."),
    "balance through P": (3, "dG + A * (dA - (dA * A)", "dG + P * (dA - (dA * P)",
        "The balance's gradient went through the weights of the chosen; it is made of the softmax "
        "over all scores."),
    "weights over all": (3, "dG = P * (dP - (dP * P)", "dG = A * (dP - (dP * A)",
        "The gradient of the weights went through the softmax over all experts; only the chosen "
        "ones share a denominator."),
    "no row sum in P": (3, "P * (dP - (dP * P).sum(axis=-1, keepdims=True))", "P * dP",
        "The gradient of the chosen weights' softmax lacks its second term, the row sum."),
    "no row sum in A": (3, "A * (dA - (dA * A).sum(axis=-1, keepdims=True))", "A * dA",
        "The gradient of the softmax over all lacks its second term, the row sum."),
    "softmax skipped": (3, "dG = P * (dP - (dP * P).sum(axis=-1, keepdims=True))",
        "dG = dP * chosen",
        "dP was used for the scores: the softmax of the chosen was not differentiated."),
    "dF not weighed": (1, "P[:, :, None] * dy[:, None]", "chosen[:, :, None] * dy[:, None]",
        "dF lacks the weight p: every chosen expert got dy in full."),
    "dF of all": (1, "P[:, :, None] * dy[:, None]", "A[:, :, None] * dy[:, None]",
        "dF was weighed by the softmax over all experts; those not chosen get 0."),
    "dR transposed": (4, "X.T @ dG, dF", "dG.T @ X, dF",
        "This is the transpose of dR; the router is (D, E): Xᵀ dG."),
    "router not transposed": (4, "dG @ R.T", "dG @ R",
        "dX uses R, not its transpose; it runs only where D = E."),
    "shares move": (
        2,
        "/ len(X) * h",
        "/ len(X) * (h + A.mean(axis=0))",
        "The shares h were differentiated as if they were means of the softmax; a choice is a "
        "step, and h is a constant.",
    ),
    "weights for shares": (
        2,
        "(chosen.sum(axis=0) / chosen.sum())",
        "A.mean(axis=0)",
        "The mean weights stand where the shares h of the choices belong.",
    ),
}
