r"""beyond d2l, level 4: The backward of two-sided attention

Two sequences read each other through one table of scores: $a$ along its rows, $b$ along its
columns,

$$ S = AB^\top / \sqrt{D}, \qquad P_a = \operatorname{softmax}(S), \quad
   P_b = \operatorname{softmax}(S^\top), \qquad O_a = P_a V_b, \quad O_b = P_b V_a . $$

A loss depends on both outputs. Find the gradients of all four arrays. (Lu et al. 2016,
"Hierarchical Question-Image Co-Attention", section 3.3, for the idea of one table.)

    A     (..., Ta, D)            what the positions of a are matched by
    B     (..., Tb, D)            what the positions of b are matched by
    Va    (..., Ta, Da)           what b reads
    Vb    (..., Tb, Db)           what a reads
    Pa    (..., Ta, Tb)           weights of a over b
    Pb    (..., Tb, Ta)           weights of b over a
    dO    a pair (dOa, dOb)       dOa (..., Ta, Db) and dOb (..., Tb, Da)
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw, draw_mask
from npattn.exercises.given import masked_softmax
from npattn.exercises.steps import SOFTMAX_BACKWARD, at

ANSWER = {"dA": "position dim", "dB": "position dim", "dVa": "position dim", "dVb": "position dim"}


class CoAttentionCache(NamedTuple):
    """What the backward may use."""

    A: np.ndarray   # (..., Ta, D)
    B: np.ndarray   # (..., Tb, D)
    Va: np.ndarray  # (..., Ta, Da)
    Vb: np.ndarray  # (..., Tb, Db)
    Pa: np.ndarray  # (..., Ta, Tb)
    Pb: np.ndarray  # (..., Tb, Ta)


def co_attention(A, B, Va, Vb, mask_a=None, mask_b=None):
    """(Oa, Ob) and the cache; the masks (Ta, Tb) and (Tb, Ta) are True where one may attend."""
    S = A @ B.swapaxes(-1, -2) / math.sqrt(A.shape[-1])
    Pa = masked_softmax(S, mask_a)
    Pb = masked_softmax(S.swapaxes(-1, -2), mask_b)
    return (Pa @ Vb, Pb @ Va), CoAttentionCache(A, B, Va, Vb, Pa, Pb)


FORWARD = co_attention
SHAPES = {"mask_a": "... Ta Tb", "mask_b": "... Tb Ta"}
GIVEN = (masked_softmax, CoAttentionCache, co_attention)


def co_attention_backward(dO, cache):
    """The gradients of both sides.

    dO     (dOa, dOb)        gradients of the loss with respect to Oa and Ob
    cache  CoAttentionCache  as above

    Returns dA, dB, dVa and dVb, shaped like A, B, Va and Vb.
    """
    A, B, Va, Vb, Pa, Pb = cache
    dOa, dOb = dO
    # Oa = softmax(S) Vb,  Ob = softmax(Sᵀ) Va
    dPa, dPb = dOa @ Vb.swapaxes(-1, -2), dOb @ Va.swapaxes(-1, -2)
    dSa = Pa * (dPa - (dPa * Pa).sum(axis=-1, keepdims=True))
    dSb = Pb * (dPb - (dPb * Pb).sum(axis=-1, keepdims=True))
    # S = A Bᵀ / √D, read twice
    dS = (dSa + dSb.swapaxes(-1, -2)) / math.sqrt(A.shape[-1])
    dVa, dVb = Pb.swapaxes(-1, -2) @ dOb, Pa.swapaxes(-1, -2) @ dOa
    return dS @ B, dS.swapaxes(-1, -2) @ A, dVa, dVb


def cases(rng):
    def inputs(*shape_a_b):
        *leading, Ta, Tb, D, Da, Db = shape_a_b
        shapes = (Ta, D), (Tb, D), (Ta, Da), (Tb, Db)
        return tuple(draw(rng, *leading, *shape) for shape in shapes)

    X = draw(rng, 3, 2)
    return {
        "one position on one side, two on the other": inputs(1, 2, 1, 1, 1),
        "every length different": inputs(2, 4, 3, 5, 1),
        "as many positions on both sides": inputs(3, 3, 2, 2, 2),
        "one array in all places": (X, X, X, X),
        "masks, and positions that may attend to nothing": (
            *inputs(3, 4, 2, 1, 2), draw_mask(rng, 3, 4), draw_mask(rng, 4, 3),
        ),
        "a batch": inputs(2, 2, 3, 4, 1, 2),
        "everything of one length": inputs(2, 2, 2, 2, 2),
    }


HINTS = (
    "Take each way by itself: it is plain attention, with queries A and keys B one way, queries B "
    "and keys A the other. What do the two ways share?",
    "Both ways read the same S, so dS has two terms. The second way reads Sᵀ, so its term comes "
    "transposed. Only after adding go on to A and B.",
    "dS = (dSa + dSbᵀ)/√D with dSa = Pa ⊙ (dPa − rowsum(dPa ⊙ Pa)) and likewise dSb; dA = dS B, "
    "dB = dSᵀ A, dVa = Pbᵀ dOb, dVb = Paᵀ dOa.",
)

DERIVATION = r"""
**1.** Values: $O_a = P_a V_b$ and $O_b = P_b V_a$, so
$dV_b = P_a^\top dO_a$ and $dV_a = P_b^\top dO_b$; for the weights $dP_a = dO_a V_b^\top$ and
$dP_b = dO_b V_a^\top$.

**2.** Each way through its own softmax, along its own rows:

$$ dS_a = P_a \odot \bigl(dP_a - \operatorname{rowsum}(dP_a \odot P_a)\bigr), \qquad
   dS_b = P_b \odot \bigl(dP_b - \operatorname{rowsum}(dP_b \odot P_b)\bigr) . $$

**3.** $dS_a$ is the gradient of $S$, $dS_b$ that of $S^\top$. A small change of $s_{ij}$ acts
through row $i$ of $P_a$ and through row $j$ of $P_b$, which is column $j$ of $S$:

$$ dS = dS_a + dS_b^\top . $$

**4.** $S = AB^\top / \sqrt D$: $\; dA = dS\,B / \sqrt D$ and $dB = dS^\top A / \sqrt D$. Position
$i$ of $a$ is a query one way and a key the other, and $dS$ holds both roles already.
"""


MISTAKES = {
    "values exchanged": (1, "A, dVa, dVb", "A, dVb, dVa",
        "The gradients of the values are returned in the wrong order: dVa comes first."),
    **at(2, SOFTMAX_BACKWARD, suffixes=("a", "b")),
    "only along rows": (3, "(dSa + dSb.swapaxes(-1, -2))", "dSa",
        "dS holds only what comes from a's reading, along the rows of S. b reads the same scores "
        "along the columns: add dSbᵀ."),
    "only along columns": (3, "(dSa + dSb.swapaxes(-1, -2))", "dSb.swapaxes(-1, -2)",
        "dS holds only what comes from b's reading, along the columns of S; add dSa."),
    "columns without transpose": (3, "dSb.swapaxes(-1, -2)", "dSb",
        "The two terms of dS were added without a transpose: dSb is the gradient of Sᵀ, so dSbᵀ "
        "belongs to S. It runs only where both sides are equally long."),
    "second softmax along a": (2, "(dPb * Pb).sum(axis=-1", "(dPb * Pb).sum(axis=-2",
        "For b the sum in the softmax's gradient runs along the wrong axis. Pb is (Tb, Ta), and "
        "its rows, the last axis, sum to 1."),
    "averaged": (3, "math.sqrt(A.shape[-1])", "(2.0 * math.sqrt(A.shape[-1]))",
        "The two terms of dS were averaged. Two readings of one table add up."),
    "only as queries": (
        4, [
            ("return dS @", "return dSa / math.sqrt(A.shape[-1]) @"),
            ("dS.swapaxes(-1, -2) @ A", "dSb / math.sqrt(A.shape[-1]) @ A"),
        ],
        "dA and dB each hold only the way in which that side asks. A position is also a key for "
        "the other side.",
    ),
    "only as keys": (
        4, [
            ("return dS @", "return dSb.swapaxes(-1, -2) / math.sqrt(A.shape[-1]) @"),
            ("dS.swapaxes(-1, -2) @ A", "dSa.swapaxes(-1, -2) / math.sqrt(A.shape[-1]) @ A"),
        ],
        "dA and dB each hold only the way in which that side is read. A position is also a query "
        "to the other side.",
    ),
    "scale left out": (4, " / math.sqrt(A.shape[-1])", "",
        "The factor 1/√D of the scores is missing in dA and dB."),
    "dB without transpose": (4, "dS.swapaxes(-1, -2) @ A", "dS @ A",
        "dB uses dS, not its transpose: dB = dSᵀ A / √D."),
    "values without transpose": (
        1, [("Pb.swapaxes(-1, -2) @", "Pb @"), ("Pa.swapaxes(-1, -2) @", "Pa @")],
        "The gradients of the values use Pa and Pb, not their transposes: dVb = Paᵀ dOa.",
    ),
}
