r"""d2l 11.6.5, level 2: Learned positions

In place of sines, the vectors that tell the positions can be learned. Row $t$ of a table $E$ is
added at position $t$ of every sequence:

$$ Y_{\dots, t} = X_{\dots, t} + E_{\text{offset} + t} . $$

What is the gradient of the table? Exercise 2 of d2l 11.6.

    X        (..., T, D)    inputs; `...` are batch axes, one or several or none
    E        (longest, D)   the table, as many rows as a sequence may ever have
    offset                  the first position
    dY       (..., T, D)    the gradient with respect to Y
    dE       (longest, D)   rows of positions that do not occur get the gradient 0
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"dE": "position dim"}
EXCLUDED = {"longest": "as many rows as a sequence may ever have"}


class PositionsCache(NamedTuple):
    """What the backward may use."""

    E: np.ndarray  # (longest, D)
    offset: int


def learned_positions(X, E, offset):
    """Y (..., T, D) and the cache."""
    T = X.shape[-2]
    return X + E[offset : offset + T], PositionsCache(E, offset)


FORWARD = learned_positions
GIVEN = (PositionsCache, learned_positions)


def learned_positions_backward(dY, cache):
    """The gradient of the table.

    dY     (..., T, D)     gradient of the loss with respect to Y
    cache  PositionsCache  E and offset as above

    Returns dE (longest, D).
    """
    E, offset = cache
    T, D = dY.shape[-2:]
    dE = np.zeros_like(E)
    dE[offset : offset + T] = dY.reshape(-1, T, D).sum(axis=0)
    return dE


def cases(rng):
    return {
        "two sequences of two positions": (draw(rng, 2, 2, 1), draw(rng, 3, 1), 0),
        "a longer table, later positions": (draw(rng, 4, 3, 2), draw(rng, 6, 2), 2),
        "as many sequences as positions": (draw(rng, 3, 3, 2), draw(rng, 3, 2), 0),
        "two batch axes": (draw(rng, 2, 3, 4, 2), draw(rng, 5, 2), 1),
        "no batch": (draw(rng, 2, 3), draw(rng, 4, 3), 1),
    }


HINTS = (
    "dE has the shape of E. Which entries of Y does one row of E occur in?",
    "Row offset + t occurs at position t of every sequence in the batch, each time with factor 1.",
    "Sum dY over all batch axes, which gives (T, D), and put it into the rows offset … offset + T "
    "− 1 of zeros (longest, D).",
)

DERIVATION = r"""
**1.** One row of the table serves position $t$ of every sequence $n$:
$y_{n,t,c} = x_{n,t,c} + e_{\text{offset}+t,\,c}$.

**2.** What is broadcast in the forward is summed in the backward. Over all batch axes,

$$ de_{\text{offset}+t,\,c} = \sum_n dy_{n,t,c} , $$

a sum and no mean: if the loss is a mean over the batch, the $1/B$ is already in $dY$.

**3.** The positions are not summed over: each has a row of its own. So the result of the sum is
$(T, D)$.

**4.** It belongs in the rows offset … offset + T − 1. All other rows took no part, and their
gradient is 0: a table learns nothing about lengths that never occurred, which is its weakness
against sines.
"""


MISTAKES = {
    "mean": (2, "D).sum", "D).mean",
        "The mean over the batch was taken. What is shared collects a sum."),
    "first axis": (2, "D).sum(axis=0)", "D)[0]",
        "Only the first sequence counts; every sequence adds to the row."),
    "last sequence": (2, "D).sum(axis=0)", "D)[-1]",
        "Only the last sequence counts, as when each overwrites the one before: add, do not "
        "assign."),
    "first axis only": (2, "dY.reshape(-1, T, D).sum", "dY.sum",
        "Only the first axis was summed over. There may be several batch axes, or none: all but "
        "the last two."),
    "all positions": (3, ".sum(axis=0)", ".sum(axis=(0, 1))",
        "The positions were summed as well, so all rows are the same. Each position has its own "
        "row."),
    "mean of positions": (3, ".sum(axis=0)", ".sum(axis=0) / T",
        "The sum was divided by the number of positions."),
    "offset ignored": (4, "dE[offset : offset + T]", "dE[:T]",
        "The rows start at 0; they should start at the offset."),
    "from the end": (4, "dE[offset : offset + T]", "dE[-T:]",
        "The gradient stands in the last rows of the table; it belongs at the offset."),
    "used rows only": (4, "return dE", "return dE[offset : offset + T]",
        "The result has only the rows that occur. dE has the shape of E, with 0 in all other "
        "rows."),
}
