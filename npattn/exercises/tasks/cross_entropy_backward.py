r"""d2l 11.7.6, level 2: Cross-entropy with padding

Sequences in a batch are padded to one length. The loss is the mean over the tokens that are *not*
padding of minus the log-probability of the right class:

$$ \text{loss} = -\frac1N \sum_{n:\; y_n \ne \text{pad}} \log p_{n, y_n}, \qquad
   p_n = \operatorname{softmax}(z_n), \qquad N = \#\{ n : y_n \ne \text{pad} \} . $$

Find the gradient of the logits $z$. If all is padding, the loss is 0 and so is the gradient.

    logits    (..., C)   a score for each class; `...` are the axes of tokens
    P         (..., C)   their softmax, in the cache
    targets   (...)      the right class of each token, or pad
    pad                  an integer: −1 in some cases, a class that is never a target in others
    dloss                the gradient that arrives at the loss, a number
    dlogits   (..., C)
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw
from npattn.exercises.given import masked_softmax

ANSWER = {"dlogits": "token class"}


class CrossEntropyCache(NamedTuple):
    """What the backward may use."""

    P: np.ndarray        # (..., C)
    targets: np.ndarray  # (...) integers
    pad: int


def cross_entropy(logits, targets, pad):
    """The loss, a scalar, and the cache."""
    P = masked_softmax(logits)
    counted = targets != pad
    right = np.take_along_axis(P, np.where(counted, targets, 0)[..., None], axis=-1)[..., 0]
    loss = -np.log(right[counted]).sum() / max(int(counted.sum()), 1)
    return loss, CrossEntropyCache(P, targets, pad)


FORWARD = cross_entropy
GIVEN = (masked_softmax, CrossEntropyCache, cross_entropy)


def cross_entropy_backward(dloss, cache):
    """The gradient of the logits.

    dloss  scalar             gradient that arrives at the loss
    cache  CrossEntropyCache  P, targets and pad as above

    Returns dlogits (..., C).
    """
    P, targets, pad = cache
    counted = targets != pad
    onehot = (np.arange(P.shape[-1]) == targets[..., None]).astype(P.dtype)
    return dloss * (P - onehot) * counted[..., None] / max(int(counted.sum()), 1)


def cases(rng):
    def tokens(shape, C, pad, padded):
        targets = rng.integers(1, C, shape)
        targets.flat[padded] = pad
        return draw(rng, *shape, C), targets, pad

    return {
        "two tokens, the second is padding": tokens((1, 2), 3, -1, [1]),
        "two sequences of different lengths": tokens((2, 3), 4, -1, [5]),
        "padding is class 0": tokens((2, 4), 3, 0, [2, 3, 7]),
        "nothing but padding": tokens((1, 2), 3, -1, [0, 1]),
        "one axis of tokens": tokens((4,), 5, 0, [3]),
        "a single class": (draw(rng, 3, 1), np.array([0, -1, 0]), -1),
    }


HINTS = (
    "First one token that counts: the derivative of −log p_y with respect to each logit.",
    "For one token it is p − onehot(y). A token that is padding is not in the sum at all: its row "
    "is 0. And the sum is divided by what?",
    "dlogits = dloss · (P − onehot) / N in the rows that count, 0 in the others; N is the number "
    "of rows that count, or 1 if there are none.",
)

DERIVATION = r"""
**1.** For one token with the right class $y$, $\ell = -\log p_y = -z_y + \log \sum_k e^{z_k}$.
Hence

$$ \frac{\partial \ell}{\partial z_c} = p_c - \delta_{cy} : $$

all logits take part, since they share the denominator.

**2.** Padding is not in the sum: whatever its logits are, the loss stays the same. The gradient of
such a row is exactly 0.

**3.** The sum is divided by $N$, the number of tokens that count *in the whole batch*. Dividing by
all tokens would let the padding, which depends on what else is in the batch, scale the gradient.
The mean of each sequence's own mean is yet another loss, in which the tokens of short sequences
weigh more.

**4.** The loss goes on to $d\text{loss}$, which multiplies everything. With $N = 0$ nothing depends
on the logits, and the gradient is 0, not 0/0:

$$ dz_n = \frac{d\text{loss}}{\max(N, 1)}\, [\, y_n \ne \text{pad} \,]\,
   (p_n - \operatorname{onehot}(y_n)) . $$
"""


UNSETTLED = {"mean of means": "one axis of tokens"}  # what a sequence is, is not said there

MISTAKES = {
    "padding counted": (3, "max(int(counted.sum()), 1)", "targets.size",
        "The sum was divided by the number of all tokens, padding included. N counts only those "
        "that are not padding."),
    "padding kept": (2, " * counted[..., None]", "",
        "The rows of padding have a gradient. They are not in the loss, so theirs is 0."),
    "last class": (
        2, [
            ("(np.arange(P.shape[-1]) == targets[..., None]).astype(P.dtype)",
             "np.eye(P.shape[-1], dtype=P.dtype)[targets]"),
            (" * counted[..., None]", ""),
        ],
        "The rows of padding have a gradient, and where pad is −1 it pulls at the last class: a "
        "negative index counts from the end. Padding is not in the loss, so its gradient is 0.",
    ),
    "padding without a target": (2, "onehot) * counted[..., None]", "onehot * counted[..., None])",
        "Padding was taken out of the targets only: its rows have the gradient p, which pushes all "
        "logits down. It should be 0."),
    "sum": (3, " / max(int(counted.sum()), 1)", "",
        "The division by N is missing: the loss is a mean, not a sum."),
    "per sequence": (3, "max(int(counted.sum()), 1)", "len(targets)",
        "The sum was divided by the number of sequences. It should be by the number of tokens that "
        "count."),
    "mean of means": (
        3,
        "max(int(counted.sum()), 1)",
        "np.maximum(counted.sum(axis=-1, keepdims=True), 1)[..., None] / "
        "(counted.size / counted.shape[-1])",
        "Each sequence was averaged by itself, and then the sequences. All tokens of the batch "
        "that count weigh the same: one N for all.",
    ),
    "nothing counted": (4, "max(int(counted.sum()), 1)", "counted.sum()",
        "Where there is nothing but padding, N is 0, and 0/0 is NaN. The gradient is 0 there."),
    "no target": (1, "(P - onehot)", "P",
        "The target was not subtracted: the gradient of one token is p − onehot(y), not p."),
    "right class only": (1, "(P - onehot)", "(P - onehot) * onehot",
        "Only the logit of the right class has a gradient. All logits share the denominator of the "
        "softmax, so the others have one as well: p_c."),
    "upstream": (4, "dloss * (", "(",
        "dloss is not used. The loss may be a part of something larger."),
    "smoothed": (1, "(P - onehot)", "(P - 0.9 * onehot - 0.1 / P.shape[-1])",
        "The targets were smoothed: 0.9 for the right class and 0.1 shared by all. Here they are "
        "one-hot."),
    "a mean for each sequence": (
        3,
        "max(int(counted.sum()), 1)",
        "np.maximum(counted.sum(axis=-1, keepdims=True), 1)[..., None]",
        "Each sequence was divided by its own number of tokens; the loss is one mean, over all "
        "tokens that count.",
    ),
}
