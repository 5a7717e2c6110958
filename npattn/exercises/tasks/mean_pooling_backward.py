r"""d2l 11.8.7, level 2: Mean pooling instead of the cls token

A vision Transformer's last block gives a vector for the cls token, at position 0, and one for each
patch, at positions 1 to $N$. Instead of the cls token, project the average of the patches to the
classes:

$$ m = \frac1N \sum_{t=1}^{N} z_t, \qquad Y = m\, W + b . $$

Find all gradients. Exercise 2 of d2l 11.8.

    Z    (B, 1+N, D)   outputs of the last block; position 0 is the cls token
    W    (D, C)        weights of the projection
    b    (C,)          bias
    m    (B, D)        the average of the patches
    dY   (B, C)        the gradient with respect to the logits
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"dZ": "position dim", "dW": "in class", "db": "class"}


class PoolingCache(NamedTuple):
    """What the backward may use."""

    Z: np.ndarray  # (B, 1+N, D)
    W: np.ndarray  # (D, C)
    m: np.ndarray  # (B, D)


def mean_pooling(Z, W, b):
    """Y (B, C) and the cache."""
    m = Z[:, 1:].mean(axis=1)
    return m @ W + b, PoolingCache(Z, W, m)


FORWARD = mean_pooling
GIVEN = (PoolingCache, mean_pooling)


def mean_pooling_backward(dY, cache):
    """The gradients of the positions and of the projection.

    dY     (B, C)        gradient of the loss with respect to Y
    cache  PoolingCache  as above

    Returns dZ (B, 1+N, D), dW (D, C) and db (C,).
    """
    Z, W, m = cache
    dZ = np.zeros_like(Z)
    dZ[:, 1:] = (dY @ W.T)[:, None] / (Z.shape[1] - 1)
    return dZ, m.T @ dY, dY.sum(axis=0)


def specification(dY, cache):
    """Patch by patch."""
    Z, W, m = cache
    N = Z.shape[1] - 1
    dZ, dW, db = np.zeros_like(Z), np.zeros_like(W), np.zeros(W.shape[1])
    for b in range(len(Z)):
        for t in range(1, N + 1):
            dZ[b, t] = W @ dY[b] / N
        dW += np.outer(m[b], dY[b])
        db += dY[b]
    return dZ, dW, db


def cases(rng):
    def inputs(B, N, D, C):
        return draw(rng, B, 1 + N, D), draw(rng, D, C), draw(rng, C)

    return {
        "one image, two patches": inputs(1, 2, 1, 1),
        "every length different": inputs(2, 4, 3, 6),
        "as many positions as dims and classes": inputs(3, 2, 3, 3),
        "a single patch": inputs(2, 1, 2, 3),
    }


HINTS = (
    "The projection is a linear layer with the input m. Its backward gives dm, one row for each "
    "image.",
    "Each patch enters m with the factor 1/N: all patches of an image get the same gradient. And "
    "the cls token?",
    "dZ[:, 1:] = (dY Wᵀ)[:, None]/N, dZ[:, 0] = 0; dW = mᵀ dY, db = the sum of dY over the images.",
)

DERIVATION = r"""
**1.** $Y = mW + b$ is a linear layer: $dm = dY\, W^\top$, $dW = m^\top dY$, $db = \sum_b dY_b$. The
sums run over the images, which share $W$ and $b$.

**2.** $m = \frac1N \sum_{t=1}^N z_t$: every patch has the derivative $1/N$, so

$$ dz_t = dm / N \qquad (t = 1 \dots N) , $$

the same for all patches. $N$ is the number of patches, one less than the number of positions.

**3.** The cls token is not in the average: $dz_0 = 0$. It still learns something in a whole
network, since in the blocks before the patches attend to it.
"""


MISTAKES = {
    "not divided": (2, " / (Z.shape[1] - 1)", "",
        "The factor 1/N is missing in dZ: each patch has only its share in the mean."),
    "cls counted": (2, "(Z.shape[1] - 1)", "Z.shape[1]",
        "dZ was divided by the number of positions; the average is over the patches, one fewer."),
    "divided by the dims": (2, "(Z.shape[1] - 1)", "Z.shape[2]",
        "dZ was divided by the number of dims: the mean runs over the patches, axis 1."),
    "divided by the batch": (2, "(Z.shape[1] - 1)", "(Z.shape[1] - 1) / len(Z)",
        "dZ was divided by the number of images as well. The mean is over patches; one over "
        "images, if there is one, belongs to the loss and is in dY already."),
    "times Z": (2, "return dZ", "return dZ * Z",
        "dZ has a factor Z. The mean is linear: its derivative is 1/N alone."),
    "cls as well": (3, "dZ[:, 1:]", "dZ[:]",
        "The cls token got a gradient as well; it is not in the average, so it gets 0."),
    "only cls": (3, "dZ[:, 1:] = (dY @ W.T)[:, None] / (Z.shape[1] - 1)", "dZ[:, 0] = dY @ W.T",
        "All of the gradient went to the cls token, as with the usual head; here the patches get "
        "it."),
    "patches left out": (3, "return dZ", "return dZ[:, 1:]",
        "dZ lacks the position of the cls token: it is an input too, with the gradient 0."),
    "last position left out": (3, "dZ[:, 1:]", "dZ[:, :-1]",
        "The zeros are at the last position; the cls token is the first."),
    "cls for m": (1, "m.T", "Z[:, 0].T",
        "dW pairs dY with the cls token; what W multiplies is the average m."),
    "sum for m": (1, "m.T", "(Z.shape[1] - 1) * m.T",
        "dW pairs dY with the sum of the patches; what W multiplies is the average m."),
    "mean of all positions": (1, "m.T", "Z.mean(axis=1).T",
        "dW pairs dY with the average of all positions; m leaves the cls token out."),
    "bias not summed": (1, "dY.sum(axis=0)", "dY",
        "db has a row for each image; all share the bias: sum."),
    "mean over the images": (1, [("m.T @ dY", "m.T @ dY / len(Z)"), ("dY.sum", "dY.mean")],
        "dW and db are means over the images. A mean, if there is one, belongs to the loss and is "
        "in dY already."),
}
