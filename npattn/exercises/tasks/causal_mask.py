r"""d2l 11.7.5, level 1: The causal mask

A decoder may look back but not ahead: the query at some position may attend to the keys at this
position and before. Make the mask for queries that are the *last* Tq of Tk positions. In training
all positions are queries and Tq = Tk; when tokens are generated one by one, the keys of the past
come from a cache, and Tq is smaller.

    Tq     an integer from 1 to Tk: how many queries
    Tk     an integer: how many keys, those in the cache included
    mask   (Tq, Tk)   bool, True where the query may attend to the key
"""

import numpy as np

ANSWER = {"mask": "query key"}


def causal_mask(Tq, Tk):
    """Who may attend to whom, for the last Tq of Tk positions.

    Tq, Tk  integers, 1 ≤ Tq ≤ Tk

    Returns the mask (Tq, Tk), bool, True = may attend.
    """
    position = np.arange(Tk - Tq, Tk)
    return np.arange(Tk) <= position[:, None]


def specification(Tq, Tk):
    """Pair by pair."""
    mask = np.zeros((Tq, Tk), bool)
    for i in range(Tq):
        for j in range(Tk):
            position = Tk - Tq + i  # of the query, among all
            mask[i, j] = j <= position
    return mask


def cases(rng):
    Tq = int(rng.integers(3, 5))
    return {
        "as many queries as keys": (3, 3),
        "one query behind a cache": (1, 4),
        "three queries behind a cache": (3, 5),
        "a longer cache": (2, Tq + 4),
        "one query, one key": (1, 1),
    }


HINTS = (
    "Where does query i stand among the Tk positions? The last query stands at the last one.",
    "Query i stands at position Tk − Tq + i. It may attend to keys up to its own position, itself "
    "included.",
    "Compare `np.arange(Tk)` with `np.arange(Tk - Tq, Tk)[:, None]` by `<=`.",
)

DERIVATION = r"""
**1.** Queries are the last $T_q$ of $T_k$ positions, so query $i$ stands at position $i + T_k -
T_q$. With a cache, the triangle is aligned with the lower right corner; the upper left one would be
right only for $T_q = T_k$, and would let the newest token see nothing but the oldest key.

**2.** It may attend to itself: its own key is known when it asks. So

$$ \text{mask}_{ij} = [\, j \le i + T_k - T_q \,] . $$

Without itself, the very first query would have no key at all. One key further, each position could
copy the token that it is to predict.

**3.** In this house True means "may attend". Some libraries have it the other way round, and a mask
with the wrong polarity runs without complaint.
"""


MISTAKES = {
    "upper left": (1, "np.arange(Tk - Tq, Tk)", "np.arange(Tq)",
        "The triangle starts in the upper left corner, as if the queries were the first positions. "
        "They are the last ones: query i stands at Tk − Tq + i."),
    "not itself": (2, "<=", "<",
        "A query may not attend to its own position: the comparison is < where it should be ≤."),
    "one ahead": (2, "position[:, None]", "position[:, None] + 1",
        "Each query may attend to one key too many: it sees the next token."),
    "polarity": (3, "<=", ">",
        "The mask is True where a query may *not* attend. Here True means that it may."),
    "future": (2, "<=", ">=",
        "The triangle points the wrong way: each query may attend to itself and to the future, not "
        "to the past."),
    "cache forgotten": (
        1,
        "return np.arange(Tk) <= position[:, None]",
        "return (np.arange(Tk) <= position[:, None]) & (np.arange(Tk) >= Tk - Tq)",
        "The keys in the cache are masked. They are the past, and every query may attend to it.",
    ),
    "no mask": (2, "np.arange(Tk) <= position[:, None]", "np.ones((Tq, Tk), bool)",
        "Every query may attend to every key."),
    "stretched": (
        1,
        "np.arange(Tk - Tq, Tk)",
        "np.arange(Tq) * Tk // Tq",
        "The queries were spread over all positions; they are the last ones.",
    ),
}
