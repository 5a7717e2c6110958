r"""d2l 11.4.5, level 2: A context by scaled dot products

At each step Bahdanau's decoder asks the encoder's outputs for a context: the query is the decoder's
top state, keys and values are both the encoder's outputs. The scores need no network if state and
outputs have one width; use scaled dot products instead,

$$ s_j = \frac{h \cdot m_j}{\sqrt{D}}, \qquad p = \operatorname{softmax}(s) \text{ over the real
   positions}, \qquad c = \sum_j p_j\, m_j . $$

Compute context and weights for a whole batch. Exercise 2 of d2l 11.4; exercise 2 of 10.4 in the
Chinese edition.

    state        (B, D)      the query of each sequence
    memory       (B, T, D)   outputs of the encoder: keys and values
    valid_lens   (B,) int    how many of them are real; 0 allows none
    context      (B, D)      0 where the length is 0
    P            (B, T)      weights, exactly 0 on padding

No loop over the batch is needed.
"""

import math

import numpy as np

from npattn.exercises.drawing import draw
from npattn.exercises.given import masked_softmax

ANSWER = {"context": "dim", "P": "position"}


def additive_to_dot(state, memory, valid_lens):
    """What the decoder reads, and where.

    state       (B, D)     queries, one for each sequence
    memory      (B, T, D)  keys and values
    valid_lens  (B,) int   how many positions are real

    Returns context (B, D) and P (B, T).
    """
    T, D = memory.shape[1:]
    S = np.einsum("bd,btd->bt", state, memory) / math.sqrt(D)
    P = masked_softmax(S, np.arange(T) < valid_lens[:, None])
    return np.einsum("bt,btd->bd", P, memory), P


def specification(state, memory, valid_lens):
    """Sequence by sequence, over its real positions."""
    B, T, D = memory.shape
    context, P = np.zeros((B, D)), np.zeros((B, T))
    for b in range(B):
        n = int(valid_lens[b])
        scores = [sum(state[b] * memory[b, j]) / math.sqrt(D) for j in range(n)]
        powers = [math.exp(s - max(scores)) for s in scores]
        for j in range(n):
            P[b, j] = powers[j] / sum(powers)
            context[b] += P[b, j] * memory[b, j]
    return context, P


def cases(rng):
    def inputs(B, T, D, *lens):
        return draw(rng, B, D), draw(rng, B, T, D), np.array(lens)

    state, memory, lens = inputs(2, 4, 3, 3, 2)
    padding = np.arange(4)[:, None] >= lens[:, None, None]
    return {
        "one sequence, two of three positions real": inputs(1, 3, 2, 2),
        "every length different": inputs(2, 4, 3, 4, 1),
        "a sequence without a real position": inputs(3, 4, 2, 2, 0, 3),
        "everything of one length": inputs(3, 3, 3, 3, 1, 2),
        "nothing is padding": inputs(2, 3, 5, 3, 3),
        "one position": inputs(2, 1, 3, 1, 0),
        "large scores, in float64": (256.0 * state, 256.0 * memory, lens),
        "padding that would get a large score": (
            state, np.where(padding, 1024.0 * state[:, None], memory), lens,
        ),
    }


HINTS = (
    "It is attention with one query for each sequence. Which axis of the memory does the query "
    "meet, and which one do the weights sum over?",
    "S = einsum('bd,btd->bt') / √D. Padding leaves before the softmax, by a mask "
    "arange(T) < valid_lens[:, None].",
    "Where the mask is False put −inf, then softmax along T (0 where nothing is left); "
    "context = einsum('bt,btd->bd', P, memory).",
)

DERIVATION = r"""
**1.** The query of a sequence meets each of its positions: $s_j = h \cdot m_j / \sqrt D$. If the
numbers in $h$ and $m_j$ are about independent with variance 1, $h \cdot m_j$ has variance $D$, and
dividing by $\sqrt D$ keeps the scores near 1, whatever the width.

**2.** Position $j$ is real if $j <$ valid_len. Padding is left out before the softmax, so that the
weights of the real positions sum to 1; with no real position, all weights are 0.

**3.** The softmax runs over the positions of one sequence.

**4.** $c = \sum_j p_j\, m_j$: keys and values are the same array here. Compared with the additive
score nothing is learned in between; state and memory must be of one width, and whatever matching is
needed has to be learned by decoder and encoder.
"""


MISTAKES = {
    "scale left out": (1, " / math.sqrt(D)", "", "The factor 1/√D is missing in the scores."),
    "scale squared": (1, "math.sqrt(D)", "D", "The scores were divided by D; it should be √D."),
    "scale of the length": (1, "math.sqrt(D)", "math.sqrt(T)",
        "The scores were divided by √T; it is the width that counts, √D."),
    "vector sum": (
        1, 'np.einsum("bd,btd->bt", state, memory)', "(state[:, None] + memory).sum(axis=-1)",
        "Query and key were added and the components summed. The query then adds the same to all "
        "scores and does not matter: multiply, then sum.",
    ),
    "additive without weights": (
        1,
        'np.einsum("bd,btd->bt", state, memory) / math.sqrt(D)',
        "np.tanh(state[:, None] + memory).sum(axis=-1)",
        "The scores are still additive, Σ tanh(h + m); a dot product was asked for.",
    ),
    "no mask": (2, "(S, np.arange(T) < valid_lens[:, None])", "(S)",
        "Padding gets weight: valid_lens was not used."),
    "one too many": (2, "< valid", "<= valid",
        "One position of padding gets weight: real are 0 … length − 1."),
    "one too few": (2, "valid_lens[:, None])", "valid_lens[:, None] - 1)",
        "The last real position gets no weight: real are 0 … length − 1."),
    "polarity": (2, "< valid", ">= valid",
        "The padding was kept, and the real positions were left out."),
    "mask after the softmax": (
        2, "(S, np.arange(T) < valid_lens[:, None])", "(S) * (np.arange(T) < valid_lens[:, None])",
        "The mask was applied after the softmax: the weights that are left do not sum to 1.",
    ),
    "score 0 on padding": (
        2, "(S, np.arange(T) < valid_lens[:, None])", "(S * (np.arange(T) < valid_lens[:, None]))",
        "Padding got the score 0, which is a score like any other, e⁰ = 1. It must be −∞.",
    ),
    "finite mask": (
        2,
        "(S, np.arange(T) < valid_lens[:, None])",
        "(np.where(np.arange(T) < valid_lens[:, None], S, -1e6))",
        "A large negative number stands in for −∞. Where no position is real all scores are then "
        "equal, and padding gets uniform weights; they should be 0.",
    ),
    "over the batch": (
        3,
        "(S, np.arange(T) < valid_lens[:, None])",
        "(S.T, (np.arange(T) < valid_lens[:, None]).T).T",
        "The softmax runs over the batch; a sequence's weights sum to 1.",
    ),
    "scores for weights": (
        4, '"bt,btd->bd", P,', '"bt,btd->bd", S * (np.arange(T) < valid_lens[:, None]),',
        "The context was summed with the scores; the weights belong there.",
    ),
    "mean": (4, "memory), P", "memory) / T, P",
        "The context was divided by T. The weights sum to 1 already."),
}
