r"""d2l 11.7.3, level 3: A residual connection and its norm

The Transformer of d2l adds what a sublayer makes of $X$ to $X$ itself, and normalizes the sum
(post-norm). With a small sublayer, the block is

$$ H = \max(X W, 0), \qquad R = X + H, \qquad Y = \operatorname{LayerNorm}(R) . $$

Find the gradients of its input and of the sublayer's weights, from $dY$.

    X      (..., D)   inputs; `...` stands for any leading axes, also none
    W      (D, D)     weights of the sublayer
    H      (..., D)   what the sublayer returns
    Xhat   (..., D)   R, normalized: (R − mean) · rstd
    rstd   (..., 1)   1 / √(variance of R + ε)
    gain   (D,)       Y = Xhat ⊙ gain + bias
    dY     (..., D)   the gradient with respect to the output
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"dX": "dim", "dW": "dim-in dim-out"}


class BlockCache(NamedTuple):
    """What the backward may use."""

    X: np.ndarray     # (..., D)
    W: np.ndarray     # (D, D)
    H: np.ndarray     # (..., D)
    Xhat: np.ndarray  # (..., D)
    rstd: np.ndarray  # (..., 1)
    gain: np.ndarray  # (D,)


def residual_norm_block(X, W, gain, bias):
    """Y (..., D) and the cache."""
    A = X @ W
    H = np.where(A.real > 0, A, 0)
    R = X + H
    centred = R - R.mean(axis=-1, keepdims=True)
    rstd = 1.0 / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-3)
    Xhat = centred * rstd
    return Xhat * gain + bias, BlockCache(X, W, H, Xhat, rstd, gain)


FORWARD = residual_norm_block
SHAPES = {"bias": "D"}
GIVEN = (BlockCache, residual_norm_block)


def residual_norm_block_backward(dY, cache):
    """The gradients of the input and of the sublayer's weights.

    dY     (..., D)    gradient of the loss with respect to Y
    cache  BlockCache  X, W, H, Xhat, rstd and gain as above

    Returns dX (..., D), dW (D, D).
    """
    X, W, H, Xhat, rstd, gain = cache
    # Y = LayerNorm(R)
    dXhat = dY * gain
    slope = (dXhat * Xhat).mean(axis=-1, keepdims=True)
    dR = rstd * (dXhat - dXhat.mean(axis=-1, keepdims=True) - Xhat * slope)
    # R = X + H, H = max(X W, 0)
    dA = np.where(H > 0, dR, 0)
    D = X.shape[-1]
    return dR + dA @ W.T, X.reshape(-1, D).T @ dA.reshape(-1, D)


def cases(rng):
    def inputs(*shape):
        D = shape[-1]
        return draw(rng, *shape), draw(rng, D, D), draw(rng, D), draw(rng, D)

    return {
        "one row": inputs(3),
        "two rows": inputs(2, 3),
        "as many rows as columns": inputs(4, 4),
        "a batch": inputs(2, 3, 5),
    }


HINTS = (
    "Go backwards through three lines. The norm comes last in the forward, so it comes first: from "
    "dY to dR, as in layer-norm-backward.",
    "R = X + H: dR goes on unchanged to both. H depends on X as well, so X collects two gradients, "
    "one past the sublayer and one through it.",
    "dA = dR where H > 0, else 0; dX = dR + dA Wᵀ; dW = Xᵀ dA, summed over all rows.",
)

DERIVATION = r"""
**1.** The norm, as in layer-norm-backward: with $d\hat x = dY \odot g$ and means over a row,

$$ dR = \text{rstd} \odot \bigl( d\hat x - \operatorname{mean}(d\hat x)
   - \hat x\, \operatorname{mean}(d\hat x \odot \hat x) \bigr) . $$

In post-norm it stands behind the sum, so both branches get $dR$, and nothing goes around the norm.

**2.** The sum hands its gradient on unchanged: $dH = dR$, and $dR$ to $X$ directly. This is the
path that lets gradients through a deep stack.

**3.** The sublayer: $H = \max(A, 0)$ lets the gradient pass where $H > 0$, so
$dA = dR \odot [\,H > 0\,]$. Then $A = XW$ gives $dA\,W^\top$ to $X$ and

$$ dW = X^\top dA , $$

a sum over all rows, which share $W$.

**4.** $X$ is used twice, and its two gradients are added: $dX = dR + dA\,W^\top$.
"""


MISTAKES = {
    "skip left out": (4, "dR + dA", "dA",
        "dX has only the gradient through the sublayer. X also reaches the sum directly: dR is "
        "missing."),
    "branch left out": (4, " + dA @ W.T", "",
        "dX has only the gradient of the direct path. X also reaches the sum through the sublayer: "
        "dA Wᵀ is missing."),
    "skip around the norm": (1, "dR + dA", "dY + dA",
        "The direct path hands on dY. In post-norm the norm stands behind the sum, so that path "
        "gets dR as well."),
    "branch around the norm": (1, "0, dR, 0", "0, dY, 0",
        "The sublayer got dY, not dR: the norm was undone for the direct path only."),
    "norm skipped": (1, "    # R = X", "    dR = dY\n    # R = X",
        "The norm was not undone: dY was used where dR belongs, on both paths."),
    "mean held fixed": (1, " - dXhat.mean(axis=-1, keepdims=True)", "",
        "In the norm, the mean was treated as a constant: the term −mean(dX̂) is missing."),
    "variance held fixed": (1, " - Xhat * slope", "",
        "In the norm, the variance was treated as a constant: the term −X̂ ⊙ mean(dX̂ ⊙ X̂) is "
        "missing."),
    "gain left out": (1, "dY * gain", "dY", "The gain was not undone: dX̂ = dY ⊙ gain."),
    "rstd left out": (1, "rstd * (", "(", "The norm's factor rstd is missing."),
    "relu left out": (3, "np.where(H > 0, dR, 0)", "dR",
        "The gradient passes the ReLU everywhere. It passes only where H > 0."),
    "W not transposed": (3, "W.T", "W",
        "The path through the sublayer is dA W; it should be dA Wᵀ. W is square, so both run."),
    "output for input": (3, "X.reshape", "H.reshape",
        "dW was made with the sublayer's output H; the factor beside W is X."),
}
