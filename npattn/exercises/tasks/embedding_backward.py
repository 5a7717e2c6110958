r"""d2l 11.7.4, level 2: The gradient of an embedding

The Transformer looks up a vector for each token and multiplies it by $\sqrt D$, so that the
positions added to it do not drown it:

$$ Y_{\dots} = \sqrt D\; E_{\text{ids}_{\dots}} . $$

Find the gradient of the table. Tokens may occur several times.

    ids   (...)             integers, rows of the table; any number of axes
    E     (vocabulary, D)   the table
    dY    (..., D)          the gradient with respect to Y
    dE    (vocabulary, D)   rows of tokens that do not occur get the gradient 0
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"dE": "id dim"}


class EmbeddingCache(NamedTuple):
    """What the backward may use."""

    ids: np.ndarray  # (...)
    E: np.ndarray    # (vocabulary, D)


def embedding(ids, E):
    """Y (..., D) and the cache."""
    return E[ids] * math.sqrt(E.shape[-1]), EmbeddingCache(ids, E)


FORWARD = embedding
GIVEN = (EmbeddingCache, embedding)


def embedding_backward(dY, cache):
    """The gradient of the table.

    dY     (..., D)        gradient of the loss with respect to Y
    cache  EmbeddingCache  ids and E as above

    Returns dE (vocabulary, D).
    """
    ids, E = cache
    dE = np.zeros_like(E)
    np.add.at(dE, ids, dY * math.sqrt(E.shape[-1]))
    return dE


def cases(rng):
    def sentences(vocabulary, *shape):
        ids = rng.integers(0, vocabulary - 1, shape)  # the last token never occurs
        ids.flat[:3] = 1, 0, 1                        # token 1 does twice, not in a row
        return ids

    return {
        "three tokens, one of them twice": (np.array([1, 0, 1]), draw(rng, 3, 2)),
        "a longer sentence": (sentences(4, 6), draw(rng, 4, 3)),
        "as many tokens as the table has": (sentences(5, 5), draw(rng, 5, 5)),
        "a batch": (sentences(6, 2, 4), draw(rng, 6, 3)),
        "every token once": (rng.permutation(4), draw(rng, 4, 2)),
        "a table of one row": (np.array([0, 0, 0]), draw(rng, 1, 3)),
    }


HINTS = (
    "The embedding is a linear layer on one-hot rows: Y = √D · onehot(ids) E. What would its "
    "gradient be?",
    "Row v of the table collects dY, times √D, from every place where the token v stands.",
    "`dE[ids] += …` keeps only one of several places with the same id; np.add.at(dE, ids, √D · dY) "
    "adds each.",
)

DERIVATION = r"""
**1.** With one-hot rows $H_{nv} = [\,\text{ids}_n = v\,]$ the look-up is $Y = \sqrt D\, H E$, so

$$ dE = \sqrt D\; H^\top dY, \qquad de_v = \sqrt D \sum_{n:\; \text{ids}_n = v} dy_n . $$

**2.** A token that occurs several times collects the sum of its gradients. Nothing is divided by
how often it occurs. A token that does not occur has gradient 0.

**3.** In NumPy, `dE[ids] += X` is `dE[ids] = dE[ids] + X`: all rows are read, then all are written,
and where an id occurs twice the last one wins. np.add.at adds one after the other.

**4.** The factor $\sqrt D$ of the forward is one of the backward. $D$ is the width of the table,
not the number of its rows.
"""


MISTAKES = {
    "last place": (3, "np.add.at(dE, ids, ", "dE[ids] = (",
        "Where a token occurs several times, only the last place counts. `dE[ids] += …` does that; "
        "np.add.at adds each."),
    "first place": (
        3, [
            ("np.add.at(dE, ids, ", "dE[ids.ravel()[::-1]] = ("),
            ("E.shape[-1]))", "E.shape[-1])).reshape(-1, E.shape[-1])[::-1]"),
        ],
        "Where a token occurs several times, only the first place counts; all of them add up.",
    ),
    "mean of places": (
        2,
        "return dE",
        "return dE / np.maximum(np.bincount(ids.ravel(), minlength=len(E)), 1)[:, None]",
        "The gradients of a token were averaged over the places where it occurs; they are summed.",
    ),
    "mean of all": (2, "return dE", "return dE / ids.size",
        "The sum was divided by the number of tokens. Nothing is to be divided."),
    "no root": (4, " * math.sqrt(E.shape[-1])", "",
        "The factor √D is missing: it multiplies the vectors, so it does their gradients."),
    "divided": (4, "dY * math", "dY / math",
        "The gradient was divided by √D; the factor of the forward stays a factor."),
    "root of the vocabulary": (4, "E.shape[-1]", "len(E)",
        "The factor is the root of the number of tokens; it should be √D."),
    "token 0 left out": (2, "    return dE", "    dE[0] = 0.0\n    return dE",
        "Token 0 got no gradient, as if it were padding. Here it is a token like any other."),
    "occurring rows": (2, "return dE", "return dE[np.unique(ids)]",
        "The result has only the rows of tokens that occur. dE has the shape of E, with 0 "
        "elsewhere."),
    "E for dY": (1, "ids, dY", "ids, E[ids]",
        "The vectors of the table were collected; it should be their gradients, dY."),
}
