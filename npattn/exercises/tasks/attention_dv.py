r"""d2l 11.3.3, level 2: The gradient of the values

Attention returns for each query a weighted average of the values, $O = PV$. Find $dV$, the gradient
of a loss with respect to the values, from $dO$.

    P    (..., Tq, Tk)   weights
    V    (..., Tk, Dv)   values
    dO   (..., Tq, Dv)   the gradient with respect to the output
    dV   (..., Tk, Dv)
"""

from npattn.exercises.drawing import draw, draw_mask
from npattn.exercises.given import AttentionCache, attention, masked_softmax

ANSWER = {"dV": "key dim"}
FORWARD = attention
SHAPES = {"Q": "... Tq Dk", "K": "... Tk Dk"}
GIVEN = (masked_softmax, AttentionCache, attention)


def attention_dv(dO, cache):
    """The gradient of the values.

    dO     (..., Tq, Dv)   gradient of the loss with respect to O
    cache  AttentionCache  Q, K, V and P as above

    Returns dV (..., Tk, Dv).
    """
    Q, K, V, P = cache
    return P.swapaxes(-1, -2) @ dO


def cases(rng):
    X = draw(rng, 3, 2)
    return {
        "two queries, three keys": (draw(rng, 2, 1), draw(rng, 3, 1), draw(rng, 3, 1)),
        "every length different": (draw(rng, 2, 3), draw(rng, 4, 3), draw(rng, 4, 5)),
        "one array as queries, keys and values": (X, X, X),
        "a mask, and a query that may attend to nothing": (
            draw(rng, 3, 2), draw(rng, 4, 2), draw(rng, 4, 3), draw_mask(rng, 3, 4),
        ),
        "batch and heads": (draw(rng, 2, 3, 4, 1), draw(rng, 2, 3, 5, 1), draw(rng, 2, 3, 5, 2)),
    }


HINTS = (
    "Write one entry, o_ic = Σ_j p_ij v_jc. In which outputs does v_jc occur, and with which "
    "factor?",
    "Value j occurs in the output of every query i, with the factor p_ij, so dv_jc is a sum over "
    "i.",
    "dv_jc = Σ_i p_ij do_ic: a matrix product with P transposed, `P.swapaxes(-1, -2) @ dO`.",
)

DERIVATION = r"""
**1.** $o_{ic} = \sum_j p_{ij} v_{jc}$, so $v_{jc}$ occurs in the outputs of all queries $i$, in
column $c$ only, each time with the factor $p_{ij}$.

**2.** Sum over all the ways in which it moves the loss:

$$ dv_{jc} = \sum_i p_{ij}\, do_{ic} . $$

**3.** The sum runs over the *first* index of $P$. As a matrix product, $dV = P^\top dO$, where the
transpose exchanges the last two axes and leaves batch and heads alone. The scores, and with them
$1/\sqrt d$, come in only through $P$.
"""


MISTAKES = {
    "no transpose": (3, "P.swapaxes(-1, -2)", "P",
        "P was not transposed. Value j collects from all queries, a sum over the first index of P; "
        "P dO sums over the keys, and runs only where there are as many keys as queries."),
    "all axes reversed": (3, "P.swapaxes(-1, -2)", "P.T",
        "`.T` reverses all axes, batch and heads included; only the last two change places: "
        "`swapaxes(-1, -2)`."),
    "reshape": (3, "P.swapaxes(-1, -2)", "P.reshape(P.swapaxes(-1, -2).shape)",
        "P was reshaped to (Tk, Tq), not transposed: the shape is right, but the numbers stay in "
        "the old order."),
    "weights ignored": (2, "P.swapaxes(-1, -2)", "(0.0 * P + 1.0).swapaxes(-1, -2)",
        "The gradient of the output was handed to every value alike, not weighed by p_ij."),
    "scores for weights": (1, "P.swapaxes(-1, -2)", "(K @ Q.swapaxes(-1, -2) / Q.shape[-1] ** 0.5)",
        "The scores stand where the weights P belong: O = P V."),
    "V for dO": (2, "@ dO", "@ V", "Pᵀ is multiplied by V; the gradient that flows back is dO."),
    "scaled": (3, "@ dO", "@ dO / K.shape[-1] ** 0.5",
        "There is a factor 1/√Dk too many: it belongs to the scores and is inside P."),
    "mean": (2, "@ dO", "@ dO / P.shape[-2]",
        "The mean over the queries was taken; a gradient is their sum."),
}
