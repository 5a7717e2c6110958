r"""d2l 11.6.3, level 1: Sinusoidal positions

Attention does not know in which order its inputs stand; d2l's Transformer adds a vector to each
that tells its position. Columns come in pairs, a sine and a cosine of one frequency each:

$$ P_{t,\,2i} = \sin \frac{t}{10000^{2i/D}}, \qquad P_{t,\,2i+1} = \cos \frac{t}{10000^{2i/D}} . $$

    X        (..., T, D)   inputs, D even or odd
    offset                 position of the first of them: when tokens come one by one, how many came
                           before
    Y        (..., T, D)   X + P, with the positions $t$ = offset … offset + T − 1

With an odd D the last sine has no cosine.
"""

import math

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"Y": "position dim"}


def sinusoidal_positions(X, offset):
    """The inputs with their positions added.

    X       (..., T, D)
    offset  the first position, an integer ≥ 0

    Returns Y (..., T, D).
    """
    T, D = X.shape[-2:]
    column = np.arange(D)
    angle = np.arange(offset, offset + T)[:, None] / 10000.0 ** ((column - column % 2) / D)
    P = np.where(column % 2 == 0, np.sin(angle), np.cos(angle))
    return X + P.astype(X.dtype)


def specification(X, offset):
    """Entry by entry."""
    Y = X.copy()
    T, D = X.shape[-2:]
    for t in range(T):
        for column in range(D):
            i = column // 2
            angle = (offset + t) / 10000.0 ** (2 * i / D)
            Y[..., t, column] += math.sin(angle) if column % 2 == 0 else math.cos(angle)
    return Y


def cases(rng):
    later = int(rng.integers(3, 20))
    return {
        "two positions": (draw(rng, 2, 2), 0),
        "three positions, wider": (draw(rng, 3, 6), 0),
        "one position, not the first": (draw(rng, 1, 4), later),
        "an odd width": (draw(rng, 3, 5), 0),
        "a batch, later positions": (draw(rng, 2, 4, 6), later),
    }


HINTS = (
    "First the angles, an array (T, D): a column of positions over a row of powers of 10000. Both "
    "columns of a pair have the same power.",
    "Column c belongs to pair c // 2, so its exponent is 2 (c // 2)/D. Positions run from offset "
    "to offset + T − 1.",
    "angle = arange(offset, offset + T)[:, None] / 10000 ** ((c − c % 2)/D); its sine in the even "
    "columns, its cosine in the odd ones.",
)

DERIVATION = r"""
**1.** Row $t$ belongs to position offset + $t$. When one token arrives at a time, T is 1, and
without the offset every token would get position 0.

**2.** Column $c$ belongs to the pair $i = \lfloor c/2 \rfloor$, whose frequency is
$\omega_i = 10000^{-2i/D}$: from 1 radian a step in the first pair down to nearly $1/10000$.

**3.** Even columns hold sines, odd ones cosines, next to each other. Only so does moving on by $k$
steps rotate each pair by the fixed angle $k \omega_i$:

$$ \begin{pmatrix} \sin (t + k)\omega \\ \cos (t + k)\omega \end{pmatrix}
 = \begin{pmatrix} \cos k\omega & \sin k\omega \\ -\sin k\omega & \cos k\omega \end{pmatrix}
   \begin{pmatrix} \sin t\omega \\ \cos t\omega \end{pmatrix} . $$

**4.** The table is added to $X$, the same for all sequences of a batch. An odd width has one sine
more than cosines; taking the exponents of the even columns for both, and cutting the last cosine,
does it.
"""


MISTAKES = {
    "offset ignored": (1, "np.arange(offset, offset + T)", "np.arange(T)",
        "The positions start at 0 whatever the offset is. When tokens come one by one, each would "
        "get position 0."),
    "from 1": (1, "np.arange(offset, offset + T)", "np.arange(offset + 1, offset + T + 1)",
        "The positions are one too large: the first is the offset itself, 0 at the start."),
    "one position for all": (1, "np.arange(offset, offset + T)", "np.full(T, offset)",
        "All rows got the first position; they should count on from it."),
    "not paired": (2, "(column - column % 2)", "column",
        "Each column has a frequency of its own, 10000^(−c/D). Sine and cosine of a pair share "
        "one: the exponent is 2 (c // 2)/D."),
    "not doubled": (2, "(column - column % 2)", "(column // 2)",
        "The exponent of pair i is i/D; it should be 2i/D. The slowest pair is to turn about "
        "1/10000 of a radian a step."),
    "multiplied": (2, "None] / 10000", "None] * 10000",
        "Positions were multiplied by the power of 10000; they should be divided by it."),
    "halves": (
        3, [
            ("(column - column % 2)", "2 * (column % ((D + 1) // 2))"),
            ("column % 2 == 0", "column < (D + 1) // 2"),
        ],
        "All sines come first, then all cosines. Here they take turns: sines in the even columns, "
        "cosines in the odd ones.",
    ),
    "cosine first": (3, "np.sin(angle), np.cos(angle)", "np.cos(angle), np.sin(angle)",
        "Sine and cosine are exchanged: even columns hold the sines."),
    "last column": (4, "    return X", "    P[:, D - D % 2 :] = 0.0\n    return X",
        "With an odd width, the last column was left at 0; it holds a sine."),
    "even only": (4, "    return X", "    P[:, 1::2] = np.cos(angle[:, 0::2])\n    return X",
        "It works for even widths only: with an odd one there is one cosine less than sines, so "
        "cut the cosines to D // 2 columns."),
    "X left out": (4, "X + P.astype(X.dtype)", "np.broadcast_to(P.astype(X.dtype), X.shape)",
        "The table alone was returned; it is added to X."),
    "scaled": (4, "return X +", "return X * math.sqrt(D) +",
        "X was multiplied by √D before. That is done elsewhere, to the embeddings."),
}
