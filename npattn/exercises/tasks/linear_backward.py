r"""d2l 11.5.2, level 2: The backward of a linear layer

Queries, keys and values are made by linear layers, $Y = XW + b$, the same at every position. Find
the gradients of the input and of both parameters.

    X    (..., Din)    inputs; `...` stands for any leading axes (batch, positions), also none
    W    (Din, Dout)   weight
    b    (Dout,)       bias
    dY   (..., Dout)   the gradient with respect to the output

All positions share $W$ and $b$. A gradient has the shape of what it belongs to.
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"dX": "in", "dW": "in out", "db": "out"}


class LinearCache(NamedTuple):
    """What the backward may use."""

    X: np.ndarray  # (..., Din)
    W: np.ndarray  # (Din, Dout)


def linear(X, W, b):
    """Y (..., Dout) and the cache."""
    return X @ W + b, LinearCache(X, W)


FORWARD = linear
GIVEN = (LinearCache, linear)


def linear_backward(dY, cache):
    """The gradients of input, weight and bias.

    dY     (..., Dout)   gradient of the loss with respect to Y
    cache  LinearCache   X and W as above

    Returns dX (..., Din), dW (Din, Dout), db (Dout,).
    """
    X, W = cache
    rows, drows = X.reshape(-1, W.shape[0]), dY.reshape(-1, W.shape[1])
    return dY @ W.T, rows.T @ drows, drows.sum(axis=0)


def cases(rng):
    return {
        "two rows": (draw(rng, 2, 2), draw(rng, 2, 1), draw(rng, 1)),
        "every length different": (draw(rng, 2, 3), draw(rng, 3, 4), draw(rng, 4)),
        "as wide as before": (draw(rng, 3, 3), draw(rng, 3, 3), draw(rng, 3)),
        "a batch": (draw(rng, 2, 3, 4), draw(rng, 4, 5), draw(rng, 5)),
        "a single vector": (draw(rng, 3), draw(rng, 3, 4), draw(rng, 4)),
    }


HINTS = (
    "Write one entry, y_no = Σ_i x_ni w_io + b_o, where n counts all positions of all sequences. "
    "Where does x_ni occur? And w_io? And b_o?",
    "x_ni occurs in row n only. w_io and b_o occur in every row, so their gradients are sums over "
    "n. To have one n, fold the leading axes: `X.reshape(-1, Din)`.",
    "dX = dY Wᵀ; dW = Xᵀ dY and db = the sum of dY over its rows, both with the leading axes "
    "folded.",
)

DERIVATION = r"""
Let $n$ count all rows, whatever leading axes they are arranged in:
$y_{no} = \sum_i x_{ni} w_{io} + b_o$.

**1.** $x_{ni}$ occurs in row $n$, in every column $o$, with the factor $w_{io}$:

$$ dx_{ni} = \sum_o dy_{no}\, w_{io}, \qquad dX = dY\, W^\top . $$

**2.** $w_{io}$ occurs in column $o$ of every row, with the factor $x_{ni}$. What is shared collects
a sum:

$$ dw_{io} = \sum_n x_{ni}\, dy_{no}, \qquad dW = X^\top dY . $$

**3.** $b_o$ was added to every row, by broadcasting. The gradient of a broadcast is a sum over the
axes that it filled: $db_o = \sum_n dy_{no}$.
"""


MISTAKES = {
    "W not transposed": (1, "W.T", "W",
        "dX uses W, not its transpose. dX = dY Wᵀ leads from Dout back to Din; without the "
        "transpose it runs only where both are equal."),
    "dW transposed": (2, "rows.T @ drows", "(rows.T @ drows).T",
        "dW came out as dYᵀ X, (Dout, Din). W is (Din, Dout) here, so dW = Xᵀ dY."),
    "dW for each sequence": (
        2, "rows.T @ drows", "X.swapaxes(-1, -2) @ dY if X.ndim > 1 else rows.T @ drows",
        "dW has a matrix for each sequence of the batch. All of them share one W, so the gradient "
        "is summed over every leading axis, not only over positions.",
    ),
    "X reversed": (2, "rows.T @ drows", "X.T @ dY",
        "`X.T` reverses all axes where X has more than two. Fold the leading axes into one first: "
        "`X.reshape(-1, Din).T @ dY.reshape(-1, Dout)`."),
    "db not summed": (3, "drows.sum(axis=0)", "dY",
        "db is dY itself. The bias was broadcast over all rows, and the gradient of a broadcast is "
        "the sum over the axes that it filled."),
    "db over the first axis": (3, "drows.sum", "dY.sum",
        "db was summed over the first axis only; positions share the bias as well."),
    "db over the columns": (3, "drows.sum(axis=0)", "dY.sum(axis=-1)",
        "db was summed over the outputs, axis −1. Those are its own; sum over all the others."),
    "mean": (2, [("rows.T @ drows", "rows.T @ drows / len(rows)"), ("drows.sum", "drows.mean")],
        "dW and db were divided by the number of rows. A gradient is a sum; a mean, if there is "
        "one, belongs to the loss and is in dY already."),
}
