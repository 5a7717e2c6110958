r"""d2l 11.4.5, level 4: One step of an LSTM, backwards

Bahdanau's decoder may run on an LSTM instead of a GRU. One step of it takes an input, a state $H$
and a cell $C$, and makes a new state and a new cell:

$$ I, F, O = \sigma(\cdot), \quad G = \tanh(\cdot), \qquad
   C' = F \odot C + I \odot G, \qquad H' = O \odot \tanh(C') , $$

where the four arguments are the four blocks of columns, in the order $I, F, O, G$, of
$X W_x + H W_h + b$. A loss depends on both, $H'$ and $C'$. Find all gradients. Exercise 1 of
d2l 11.4; exercise 1 of 10.4 in the Chinese edition. (Hochreiter and Schmidhuber 1997; the step
itself: d2l 10.1, Chinese edition 9.2.)

    X    (B, D)          input
    H    (B, Dh)         state
    C    (B, Dh)         cell
    Wx   (D, 4·Dh)       weights of the input
    Wh   (Dh, 4·Dh)      weights of the state
    b    (4·Dh,)         bias
    N    (B, Dh)         the new cell C′
    dY   (dHn, dCn)      the gradients with respect to H′ and C′, both (B, Dh)
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {
    "dX": "dim", "dH": "unit", "dC": "unit", "dWx": "in column", "dWh": "in column", "db": "column",
}


class LSTMCache(NamedTuple):
    """What the backward may use."""

    X: np.ndarray   # (B, D)
    H: np.ndarray   # (B, Dh)
    C: np.ndarray   # (B, Dh)
    Wx: np.ndarray  # (D, 4·Dh)
    Wh: np.ndarray  # (Dh, 4·Dh)
    I: np.ndarray   # (B, Dh) input gate
    F: np.ndarray   # (B, Dh) forget gate
    O: np.ndarray   # (B, Dh) output gate
    G: np.ndarray   # (B, Dh) candidate
    N: np.ndarray   # (B, Dh) the new cell C′


def lstm_cell(X, H, C, Wx, Wh, b):
    """(H′, C′), both (B, Dh), and the cache."""
    I, F, O, G = np.split(X @ Wx + H @ Wh + b, 4, axis=-1)
    I, F, O = (0.5 * (1.0 + np.tanh(0.5 * A)) for A in (I, F, O))  # σ
    G = np.tanh(G)
    N = F * C + I * G
    return (O * np.tanh(N), N), LSTMCache(X, H, C, Wx, Wh, I, F, O, G, N)


FORWARD = lstm_cell
GIVEN = (LSTMCache, lstm_cell)


def lstm_cell_backward(dY, cache):
    """All gradients of one step.

    dY     (dHn, dCn)  gradients of the loss with respect to H′ and C′
    cache  LSTMCache   as above

    Returns dX, dH, dC, dWx, dWh and db, shaped like X, H, C, Wx, Wh and b.
    """
    X, H, C, Wx, Wh, I, F, O, G, N = cache
    dHn, dCn = dY
    # H′ = O ⊙ tanh(C′)
    T = np.tanh(N)
    dO, dN = dHn * T, dCn + dHn * O * (1.0 - T * T)
    # C′ = F ⊙ C + I ⊙ G
    dI, dF, dG, dC = dN * G, dN * C, dN * I, dN * F
    # I, F, O = σ(…),  G = tanh(…)
    gates = [d * S * (1.0 - S) for d, S in ((dI, I), (dF, F), (dO, O))]
    dA = np.concatenate([*gates, dG * (1.0 - G * G)], axis=-1)
    # A = X Wx + H Wh + b
    return dA @ Wx.T, dA @ Wh.T, dC, X.T @ dA, H.T @ dA, dA.sum(axis=0)


def cases(rng):
    def inputs(B, D, Dh):
        sizes = (B, D), (B, Dh), (B, Dh), (D, 4 * Dh), (Dh, 4 * Dh), (4 * Dh,)
        return tuple(draw(rng, *size) for size in sizes)

    state = draw(rng, 2, 2)
    return {
        "one unit": inputs(1, 1, 1),
        "every length different": inputs(2, 3, 1),
        "a batch of three, two units": inputs(3, 1, 2),
        "everything of one length": inputs(2, 2, 2),
        "state and cell are one array": (
            draw(rng, 2, 3), state, state, draw(rng, 3, 8), draw(rng, 2, 8), draw(rng, 8),
        ),
    }


HINTS = (
    "Go backwards line by line: H′, then C′, then the four nonlinearities, then one linear layer. "
    "The new cell is used twice: it is returned, and it is in H′.",
    "dN = dCn + dHn O (1 − tanh²(C′)). From it dI = dN G, dF = dN C, dG = dN I, dC = dN F, and "
    "dO = dHn tanh(C′).",
    "dA joins dI I(1−I), dF F(1−F), dO O(1−O), dG (1−G²) in this order; dX = dA Wxᵀ, dH = dA Whᵀ, "
    "dWx = Xᵀ dA, dWh = Hᵀ dA, db = the sum of dA over the batch.",
)

DERIVATION = r"""
**1.** $H' = O \odot \tanh(C')$: $\; dO = dH' \odot \tanh(C')$, and the cell gets
$dH' \odot O \odot (1 - \tanh^2(C'))$.

**2.** The new cell is an output as well, and the next step hands it a gradient of its own:

$$ dN = dC' + dH' \odot O \odot (1 - \tanh^2(C')) . $$

**3.** $C' = F \odot C + I \odot G$ is a sum of products, each factor's gradient has the other one:

$$ dF = dN \odot C, \quad dC = dN \odot F, \quad dI = dN \odot G, \quad dG = dN \odot I . $$

The cell $C$ enters here alone: along the cells, gradients are only multiplied by $F$.

**4.** Through the nonlinearities, $\sigma' = \sigma(1 - \sigma)$ and $\tanh' = 1 - \tanh^2$, all
from what the cache holds; the four blocks are joined to $dA$ in the order of the columns.

**5.** $A = XW_x + HW_h + b$ is one linear layer with two inputs:
$dX = dA\,W_x^\top$, $dH = dA\,W_h^\top$, $dW_x = X^\top dA$, $dW_h = H^\top dA$,
$db = \sum_b dA_b$.
The sums run over the batch.
"""


MISTAKES = {
    "only through the state": (2, "dCn + dHn", "dHn",
        "The gradient of the new cell, dCn, was not used: C′ is an output as well as a part of "
        "H′."),
    "only the cell's own": (2, "dCn + dHn * O * (1.0 - T * T)", "dCn",
        "The path from H′ back to the cell is missing: dHn O (1 − tanh²(C′))."),
    "tanh of the cell not differentiated": (1, " * (1.0 - T * T)", "",
        "The tanh in H′ = O tanh(C′) was not differentiated: a factor 1 − tanh²(C′) is missing."),
    "tanh not taken": (1, "T * T", "N * N",
        "1 − C′² was used; C′ is what goes into the tanh, so it is 1 − tanh²(C′)."),
    "tanh of the cell left out": (1, "np.tanh(N)", "N",
        "C′ was used for tanh(C′), in dO as in the derivative; H′ = O tanh(C′)."),
    "slope at the old cell": (1, "T * T", "np.tanh(C) ** 2",
        "1 − tanh²(C) was used, with the old cell; the state is made of the new one, C′."),
    "O left out": (1, "dHn * O *", "dHn *",
        "On the way from H′ to the cell the factor O is missing."),
    "new cell for old": (3, "dN * C", "dN * N",
        "dF has the new cell; what the forget gate multiplies is the old one, C."),
    "I and G exchanged": (3, [("dN * G,", "dN * I,"), ("dN * C, dN * I", "dN * C, dN * G")],
        "dI has the factor I and dG the factor G; in a product each gets the other one."),
    "F left out": (3, "dN * F", "dN",
        "dC lacks the factor F: the old cell enters C′ through the forget gate."),
    "gates not differentiated": (4, "d * S * (1.0 - S)", "d",
        "The sigmoids were not differentiated: each gate needs a factor σ (1 − σ)."),
    "gates as tanh": (4, "d * S * (1.0 - S)", "d * (1.0 - S * S)",
        "The gates got 1 − σ²; that is the derivative of tanh. It is σ (1 − σ)."),
    "candidate not differentiated": (4, "dG * (1.0 - G * G)", "dG",
        "The candidate's tanh was not differentiated: a factor 1 − G² is missing."),
    "candidate as gate": (4, "(1.0 - G * G)", "G * (1.0 - G)",
        "The candidate got G (1 − G); it is a tanh, so 1 − G²."),
    "candidate third": (
        4, [("[*gates, dG", "[*gates[:2], dG"), ("G * G)], axis", "G * G), gates[2]], axis")],
        "The blocks were joined in the order I, F, G, O; the columns are I, F, O, G.",
    ),
    "bias not summed": (5, "dA.sum(axis=0)", "dA",
        "db has a row for each sequence; the batch shares the bias: sum."),
    "mean over the batch": (
        5, [
            ("X.T @ dA", "X.T @ dA / len(X)"),
            ("H.T @ dA", "H.T @ dA / len(X)"),
            ("dA.sum(", "dA.mean("),
        ],
        "The parameters' gradients are means over the batch. A mean, if there is one, belongs to "
        "the loss and is in dY already.",
    ),
}
