r"""d2l 11.3.2, level 1: A mask from valid lengths

Sequences of a batch are padded at the end to a common length. Which keys are real is told by the
number of them, `valid_lens`: one for each sequence, or one for each query of each sequence. Turn it
into a mask for the scores.

    valid_lens   (B,) or (B, Tq)   integers from 0 to Tk
    Tq, Tk                         numbers of queries and of keys
    mask         (B, Tq, Tk)       bool, True where the query may attend to the key

A length of 0 leaves a query without any key.
"""

import numpy as np

ANSWER = {"mask": "query key"}


def valid_lens_mask(valid_lens, Tq, Tk):
    """Who may attend to whom where only the first so many keys are real.

    valid_lens  (B,) or (B, Tq)  integers
    Tq, Tk      integers

    Returns the mask (B, Tq, Tk), bool, True = may attend.
    """
    lens = valid_lens[:, None] if valid_lens.ndim == 1 else valid_lens
    return np.broadcast_to(np.arange(Tk) < lens[..., None], (len(valid_lens), Tq, Tk))


def specification(valid_lens, Tq, Tk):
    """Pair by pair."""
    mask = np.zeros((len(valid_lens), Tq, Tk), bool)
    for b in range(len(valid_lens)):
        for i in range(Tq):
            length = valid_lens[b] if valid_lens.ndim == 1 else valid_lens[b, i]
            for j in range(Tk):
                mask[b, i, j] = j < length
    return mask


def cases(rng):
    def lengths(least, most, *shape):
        lens = rng.integers(least, most + 1, shape)
        lens.flat[:3] = (least + 1, least, most)[: lens.size]  # in no order
        return lens

    return {
        "two sequences": (lengths(1, 2, 2), 2, 3),
        "a length for each query": (lengths(1, 3, 2, 3), 3, 4),
        "as many queries as sequences": (lengths(1, 4, 3), 3, 5),
        "lengths 0 and Tk": (np.array([2, 0, 4]), 2, 4),
        "more queries than sequences": (lengths(2, 4, 2), 5, 6),
        "one sequence": (np.array([2]), 3, 4),
        "one query and one key": (np.array([1, 0]), 1, 1),
        "a length for each of as many queries as keys": (lengths(0, 3, 2, 3), 3, 3),
    }


HINTS = (
    "For one sequence of length n, the mask of the keys is `np.arange(Tk) < n`. How do you get all "
    "sequences, and all queries, without a loop?",
    "Lengths (B,) hold for every query of their sequence: make them (B, 1). Lengths (B, Tq) are "
    "ready.",
    "np.arange(Tk) < lens[..., None] is (B, 1, Tk) or (B, Tq, Tk); np.broadcast_to brings it to "
    "(B, Tq, Tk).",
)

DERIVATION = r"""
**1.** The real keys of a sequence of length $n$ are $0 \dots n - 1$: the key $n$ is already
padding. Hence $j < n$, and $n = 0$ allows nothing, $n = T_k$ everything.

**2.** Lengths $(B,)$ hold for all queries of their sequence. As $(B, 1)$ they broadcast over the
queries: query by query within one sequence, then the next sequence. (Flattened to $B \cdot T_q$
rows, that is np.repeat; np.tile would give the lengths of other sequences to a sequence's queries.)

**3.** Lengths $(B, T_q)$ have a value for each query. In both cases a last axis is added for the
keys:

$$ \text{mask}_{b i j} = [\, j < n_{b i} \,] . $$

**4.** It says nothing about padded queries. They attend like any other, and what comes of it is
left out later, from the loss.
"""


MISTAKES = {
    "one too many": (1, "< lens", "<= lens",
        "One key too many is allowed: the comparison is j ≤ length. The real keys are 0 … length − "
        "1."),
    "one too few": (1, "lens[..., None],", "lens[..., None] - 1,",
        "One key too few is allowed; the real keys are 0 … length − 1."),
    "polarity": (1, [("np.arange(Tk) <", "~(np.arange(Tk) <"), ("None],", "None]),")],
        "The mask is True on the padding. Here True means that a query may attend."),
    "at the end": (1, "< lens", ">= Tk - lens",
        "The last so many keys are allowed. Padding is at the end; the first are real."),
    "0 for all": (1, "< lens[", "< np.where(lens == 0, Tk, lens)[",
        "A length of 0 was taken for no limit. It means that there is no key at all."),
    "tiled": (2, "valid_lens[:, None] if", "np.tile(valid_lens, Tq).reshape(-1, Tq) if",
        "Lengths were tiled, so that queries got the lengths of other sequences: each length is to "
        "be repeated for all queries of its own sequence."),
    "along the queries": (2, "valid_lens[:, None] if", "valid_lens[None, :] if",
        "Lengths (B,) were laid along the queries, not the batch: `valid_lens[:, None]` goes with "
        "the sequences. It runs only where there are as many queries as sequences."),
    "first query": (3, "else valid_lens\n", "else valid_lens[:, :1]\n",
        "Of lengths (B, Tq), only those of the first query were used, for all queries."),
    "longest query": (3, "else valid_lens\n", "else valid_lens.max(axis=1, keepdims=True)\n",
        "Of lengths (B, Tq), the largest of each sequence was used for all its queries."),
    "queries as well": (
        4,
        "np.arange(Tk) < lens[..., None],",
        "(np.maximum(np.arange(Tk), np.arange(Tq)[:, None])) < lens[..., None],",
        "Padded queries were masked as well. Only keys are masked; what padded queries return is "
        "left out later.",
    ),
}
