r"""beyond d2l, level 1: A sliding window

In some layers a query looks back no further than a window: it may attend to its own position and to
the $w - 1$ before it, $w$ keys in all where there are so many. The queries are the *last* Tq of Tk
positions, as behind a cache. Make the mask.

    Tq     an integer from 1 to Tk: how many queries
    Tk     an integer: how many keys
    w      an integer, at least 1: the window
    mask   (Tq, Tk)   bool, True where the query may attend to the key
"""

import numpy as np

ANSWER = {"mask": "query key"}


def window_mask(Tq, Tk, w):
    """Which keys a query may attend to.

    Tq, Tk  integers, 1 ≤ Tq ≤ Tk
    w       an integer, at least 1

    Returns the mask (Tq, Tk), bool, True = may attend.
    """
    key, query = np.arange(Tk), np.arange(Tk - Tq, Tk)[:, None]
    return (key <= query) & (key > query - w)


def specification(Tq, Tk, w):
    """Pair by pair."""
    mask = np.zeros((Tq, Tk), bool)
    for i in range(Tq):
        for j in range(Tk):
            back = Tk - Tq + i - j  # how far the key lies behind
            mask[i, j] = 0 <= back < w
    return mask


def cases(rng):
    Tk = int(rng.integers(7, 9))
    return {
        "as many queries as keys": (3, 3, 2),
        "one query behind a cache": (1, 4, 2),
        "three queries behind a cache": (3, 6, 3),
        "a longer cache": (2, Tk, 4),
        "a window that sees all": (3, 4, 9),
        "a window of one": (3, 4, 1),
    }


HINTS = (
    "Where does query i stand among the Tk positions? How far behind it is key j?",
    "Query i stands at Tk − Tq + i. Key j is allowed if it is not ahead and less than w behind.",
    "With key = arange(Tk) and query = arange(Tk − Tq, Tk)[:, None]: (key <= query) & (key > query "
    "− w).",
)

DERIVATION = r"""
**1.** Query $i$ stands at position $t = T_k - T_q + i$, since the queries are the last positions.

**2.** It may not look ahead: $j \le t$.

**3.** Of the keys behind, the window has $w$, itself included: $t - w < j$.
"""


MISTAKES = {
    "upper left": (1, "np.arange(Tk - Tq, Tk)", "np.arange(Tq)",
        "The queries were taken for the first positions; they are the last ones."),
    "one too many": (3, "key > query - w", "key >= query - w",
        "The window has one key too many: it holds w keys, the query's own among them."),
    "one too few": (3, "key > query - w", "key > query - w + 1",
        "The window has one key too few: it holds w keys, the query's own among them."),
    "not itself": (2, "key <= query", "key < query",
        "A query may not attend to its own position; it is part of the window."),
    "sees ahead": (2, "(key <= query) & ", "",
        "The future is not hidden: keys ahead of the query must be forbidden as well."),
    "both sides": (2, "key <= query", "key < query + w",
        "The window reaches ahead as far as back; here it only looks back."),
    "no window": (3, " & (key > query - w)", "", "There is no window, only the causal mask."),
    "polarity": (2, "return (key <= query) & (key > query - w)",
        "return ~((key <= query) & (key > query - w))",
        "The mask is True where a query may *not* attend. Here True means that it may."),
    "or": (3, ") & (", ") | (", "The two conditions were joined by or: every key is allowed."),
    "blocks": (3, "(key > query - w)", "(key // w == query // w)",
        "The positions were cut into blocks of w, and each query sees its own block; the window "
        "slides with the query."),
    "one window for all": (
        3,
        "key > query - w",
        "key >= Tk - w",
        "All queries have the window of the last one; each has a window of its own, which ends "
        "at its position.",
    ),
}
