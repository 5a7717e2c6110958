r"""d2l 11.6.5, level 3: Relative positions

A score may depend on how far the key is from the query. Give each distance a vector of its own, up
to a largest one $c$, beyond which all distances are alike:

$$ s_{ij} = q_i \cdot a_{r(i, j)}, \qquad r(i, j) = \operatorname{clip}(j - i,\, -c,\, c) + c . $$

Find the gradients of the queries and of the vectors. Exercise 3 of d2l 11.6.

    Q    (..., Tq, D)      queries
    A    (2c + 1, D)       row r for the distance r − c; the same for the whole batch
    dS   (..., Tq, Tk)     the gradient with respect to the scores
    dQ   (..., Tq, D)
    dA   (2c + 1, D)
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"dQ": "query dim", "dA": "row dim"}


class RelativeCache(NamedTuple):
    """What the backward may use."""

    Q: np.ndarray  # (..., Tq, D)
    A: np.ndarray  # (2c + 1, D)


def relative_scores(Q, A, Tk):
    """S (..., Tq, Tk) and the cache."""
    S = np.zeros((*Q.shape[:-1], Tk), np.result_type(Q, A))
    c = len(A) // 2
    for i in range(Q.shape[-2]):
        for j in range(Tk):
            r = min(max(j - i, -c), c) + c
            S[..., i, j] = Q[..., i, :] @ A[r]
    return S, RelativeCache(Q, A)


FORWARD = relative_scores
GIVEN = (RelativeCache, relative_scores)


def relative_positions(dS, cache):
    """The gradients of queries and of the vectors for the distances.

    dS     (..., Tq, Tk)  gradient of the loss with respect to S
    cache  RelativeCache  Q and A as above

    Returns dQ (..., Tq, D), dA (2c + 1, D).
    """
    Q, A = cache
    c, (Tq, Tk) = len(A) // 2, dS.shape[-2:]
    rows = np.clip(np.arange(Tk) - np.arange(Tq)[:, None], -c, c) + c
    dQ = np.einsum("...ij,ijd->...id", dS, A[rows])
    dA = np.zeros_like(A)
    pairs = dS.reshape(-1, Tq, Tk, 1) * Q.reshape(-1, Tq, 1, Q.shape[-1])
    np.add.at(dA, rows, pairs.sum(axis=0))
    return dQ, dA


def cases(rng):
    return {
        "two queries, two keys": (draw(rng, 2, 1), draw(rng, 3, 1), 2),
        "distances beyond the largest": (draw(rng, 4, 2), draw(rng, 3, 2), 5),
        "as many queries as keys": (draw(rng, 3, 2), draw(rng, 5, 2), 3),
        "rows that do not occur": (draw(rng, 2, 3), draw(rng, 9, 3), 3),
        "batch and heads": (draw(rng, 2, 3, 4, 2), draw(rng, 5, 2), 3),
        "one key": (draw(rng, 3, 2), draw(rng, 3, 2), 1),
        "one row for all distances": (draw(rng, 2, 2), draw(rng, 1, 2), 3),
    }


HINTS = (
    "First the table of rows r(i, j), an integer array (Tq, Tk). Along each diagonal it is "
    "constant.",
    "Each score is a product: dQ collects ds_ij a_r over the keys, and row a_r collects ds_ij q_i "
    "over all pairs (i, j) with r(i, j) = r, in all sequences.",
    "np.add.at(dA, rows, Σ over the batch of dS[..., None] · Q[..., :, None, :]); `dA[rows] += …` "
    "keeps only one of several pairs that share a row.",
)

DERIVATION = r"""
**1.** The distance from query $i$ to key $j$ is $j - i$: positive to the right of the query.
Clipped to $-c \dots c$ and moved up by $c$, it is a row of the table.

**2.** A query meets one vector per key:

$$ dq_i = \sum_j ds_{ij}\, a_{r(i, j)} . $$

**3.** A row of the table occurs in all pairs at its distance, along one diagonal of the scores, and
with the factor $q_i$ there:

$$ da_r = \sum_{(i, j):\; r(i, j) = r} ds_{ij}\, q_i . $$

It is a sum over the diagonal, and over all sequences and heads that share the table.

**4.** The first and the last row also serve all pairs further apart than $c$; these belong to the
sums, too. In NumPy, `dA[rows] += pairs` reads, adds and writes once per row, so that of several
pairs with the same row only the last counts; np.add.at adds each. A row that does not occur has
gradient 0.
"""


MISTAKES = {
    "last pair": (4, "np.add.at(dA, rows, pairs.sum(axis=0))", "dA[rows] = pairs.sum(axis=0)",
        "Of all pairs that share a row, only the last counts. `dA[rows] += …` does that: use "
        "np.add.at, which adds each."),
    "mean of the diagonal": (
        3,
        "dQ, dA\n",
        "dQ, dA / np.maximum(np.bincount(rows.ravel(), minlength=len(A)), 1)[:, None]\n",
        "Each row of dA is a mean over its pairs. What is shared collects a sum.",
    ),
    "mean of the batch": (3, "pairs.sum", "pairs.mean",
        "dA is a mean over the batch. What is shared collects a sum."),
    "first sequence": (3, "pairs.sum(axis=0)", "pairs[0]",
        "dA has only the first sequence of the batch; all of them share the table."),
    "query minus key": (
        1, "np.arange(Tk) - np.arange(Tq)[:, None]", "np.arange(Tq)[:, None] - np.arange(Tk)",
        "The distance has the wrong sign, i − j: it is j − i, positive for keys to the right.",
    ),
    "one row off": (1, "None], -c", "None] + 1, -c",
        "The rows are one too high: distance 0 belongs to row c."),
    "not clipped": (1, [("np.clip(", "("), (", -c, c)", ")")],
        "The distances were not clipped to −c … c. NumPy counts negative rows from the end of the "
        "table, and rows beyond it are an error."),
    "wrapped": (1, [("np.clip(", "("), (", -c, c) + c", " + c) % len(A)")],
        "Distances beyond c start again at the other end of the table. They should be clipped: all "
        "keys far to the right share the last row."),
    "far pairs dropped": (
        4, [
            ("    dQ = np",
             "    near = (abs(np.arange(Tk) - np.arange(Tq)[:, None]) <= c)[..., "
             "None]\n    dQ = np"),
            ("A[rows])", "A[rows] * near)"),
            ("pairs.sum(axis=0)", "pairs.sum(axis=0) * near"),
        ],
        "Pairs further apart than c were left out. They use the first and the last row.",
    ),
    "far pairs dropped from dA": (
        4, [
            ("    dQ = np",
             "    near = (abs(np.arange(Tk) - np.arange(Tq)[:, None]) <= c)[..., "
             "None]\n    dQ = np"),
            ("pairs.sum(axis=0)", "pairs.sum(axis=0) * near"),
        ],
        "Pairs further apart than c were left out of dA; they belong to its first and last row.",
    ),
    "Q left out": (3, "Q.reshape(-1, Tq, 1, Q.shape[-1])", "np.ones_like(A[0])",
        "dA lacks the factor q_i: it sums dS alone along the diagonals."),
    "A for Q": (3, "Q.reshape(-1, Tq, 1, Q.shape[-1])", "A[rows]",
        "dA was made with the rows of A; the factor beside a_r in the score is q_i."),
}
