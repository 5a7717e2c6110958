r"""d2l 11.3.3, level 2: Dropout on the weights

In training, attention drops each weight with probability $r$ and scales up the others, so that on
average nothing changes:

$$ O = (P \odot M)\,V, \qquad M_{ij} = \frac{1}{1-r} \text{ where kept, else } 0 . $$

Find the gradients of the weights and of the values, from $dO$.

    P      (..., Tq, Tk)   weights, before dropout
    V      (..., Tk, Dv)   values
    keep   (..., Tq, Tk)   bool, True where the weight was kept
    rate                   $r$, the probability with which each weight was dropped
    dO     (..., Tq, Dv)   the gradient with respect to the output

The coin was tossed in the forward; `keep` in the cache tells how it fell.
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw, draw_mask
from npattn.exercises.given import masked_softmax

ANSWER = {"dP": "query key", "dV": "key dim"}


class DropoutCache(NamedTuple):
    """What the backward may use."""

    P: np.ndarray     # (..., Tq, Tk) before dropout
    V: np.ndarray     # (..., Tk, Dv)
    keep: np.ndarray  # (..., Tq, Tk) bool
    rate: float


def dropped_average(P, V, keep, rate):
    """O (..., Tq, Dv) and the cache."""
    M = keep / (1.0 - rate)
    O = (P * M.astype(P.dtype)) @ V
    return O, DropoutCache(P, V, keep, rate)


FORWARD = dropped_average
GIVEN = (DropoutCache, dropped_average)


def dropout_backward(dO, cache):
    """The gradients of weights and values.

    dO     (..., Tq, Dv)  gradient of the loss with respect to O
    cache  DropoutCache   P, V, keep and rate as above

    Returns dP (..., Tq, Tk), dV (..., Tk, Dv).
    """
    P, V, keep, rate = cache
    M = (keep / (1.0 - rate)).astype(P.dtype)
    # O = (P ⊙ M) V
    dV = (P * M).swapaxes(-1, -2) @ dO
    dP = (dO @ V.swapaxes(-1, -2)) * M
    return dP, dV


def cases(rng):
    def inputs(Tq, Tk, Dv, rate, *leading):
        P, V = masked_softmax(draw(rng, *leading, Tq, Tk)), draw(rng, *leading, Tk, Dv)
        return P, V, draw_mask(rng, *leading, Tq + 1, Tk)[..., 1:, :], rate  # no dead row

    return {
        "one query, two keys, a rate of a half": inputs(1, 2, 1, 0.5),
        "every length different": inputs(2, 3, 4, 0.2),
        "as many queries as keys": inputs(3, 3, 3, 0.1),
        "a batch": inputs(3, 4, 1, 0.75, 2),
        "a rate of 0": (*inputs(2, 3, 2, 0.0)[:2], np.ones((2, 3), bool), 0.0),
    }


HINTS = (
    "For the backward, M is a constant. What reaches the product with V is not P.",
    "With A = P ⊙ M the forward is O = A V: dA = dO Vᵀ and dV = Aᵀ dO. Then from A back to P.",
    "M = keep / (1 − rate), the same as in the forward; dP = (dO Vᵀ) ⊙ M and dV = (P ⊙ M)ᵀ dO.",
)

DERIVATION = r"""
**1.** The multiplier $M$ holds 0 and $1/(1-r)$: the expectation of each entry is
$(1-r) \cdot \frac{1}{1-r} = 1$. It does not depend on $P$ or $V$, and the backward needs the very
same one, not a new toss.

**2.** With $A = P \odot M$ the output is a product, $O = AV$, and

$$ dV = A^\top dO = (P \odot M)^\top dO, \qquad dA = dO\,V^\top . $$

The values met the weights that were left and scaled, so their gradient does as well.

**3.** $A_{ij} = P_{ij} M_{ij}$ entry by entry, so each gradient passes through the same multiplier:

$$ dP = (dO\,V^\top) \odot M . $$

A dropped weight had no effect on the output, and its gradient is 0.
"""


MISTAKES = {
    "scale left out": (1, " / (1.0 - rate)", "",
        "The factor 1/(1 − rate) is missing in both gradients: the weights that were kept were "
        "scaled up in the forward."),
    "scale left out of dP": (3, "-2)) * M", "-2)) * keep",
        "dP lacks the factor 1/(1 − rate); what was kept was also scaled up."),
    "scale left out of dV": (2, "(P * M)", "(P * keep)",
        "dV lacks the factor 1/(1 − rate): the values met weights that were scaled up."),
    "dP not dropped": (3, "-2)) * M", "-2))",
        "dP does not pass through the dropout: it needs the multiplier of the forward, with its "
        "zeros and its scale."),
    "dV not dropped": (2, "(P * M)", "P",
        "dV was made with the weights before dropout. The values met the ones after it, P ⊙ M."),
    "scaled, not dropped": (3, "-2)) * M", "-2)) / (1.0 - rate)",
        "dP is scaled by 1/(1 − rate), but a weight that was dropped must get the gradient 0."),
    "scaled down": (1, "keep /", "keep *",
        "What was kept is multiplied by 1 − rate. The forward divides by it, and so does the "
        "backward."),
    "by the rate": (1, "(1.0 - rate)", "np.float64(rate)",
        "What was kept is divided by the rate. It is kept with probability 1 − rate, and that is "
        "the divisor."),
    "polarity": (1, "(keep /", "(~keep /",
        "The mask was read the other way round: `keep` is True where a weight was kept."),
    "share that was kept": (
        1,
        "(1.0 - rate)",
        "keep.mean()",
        "What was kept is divided by the share that happened to be kept; the forward divides "
        "by 1 − rate, whatever the toss.",
    ),
}
