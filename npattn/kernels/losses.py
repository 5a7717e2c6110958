"""Cross-entropy over tokens, with padding left out and labels smoothed, and its backward.

    "none"   loss_n                  (...) from `token_losses`
    "sum"    Σ_n loss_n
    "mean"   Σ_n loss_n / N          N = Σ_n w[target_n] over the tokens that count

Without class weights w is 1, and N the number of tokens that count. A token whose target is
`ignore` (padding) counts neither in the sum nor in N.
Source: d2l 4.1.2; for the weighted mean PyTorch's and ONNX's definition of the loss.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.options import require_choice
from npattn.kernels.shapes import Shape, require_shapes
from npattn.kernels.token_losses import (
    TokenLossesCache, token_losses, token_losses_backward,
)


class CrossEntropyCache(NamedTuple):
    """What cross_entropy_backward reads."""

    tokens: TokenLossesCache
    reduction: str
    N: float  # what the sum was divided by, 1 where nothing was


def cross_entropy(logits, targets, *, ignore=None, label_smoothing=0.0, weights=None,
                  reduction="mean") -> tuple[np.ndarray, CrossEntropyCache]:
    """The mean over the tokens that count of −log(probability of the right class), in nats.

    logits     (..., C)  real scores
    targets    (...)     the right classes, integers from 0 to C − 1
    ignore, label_smoothing, weights  as in `token_losses`
    reduction  "mean", "sum" or "none"

    Returns the loss, a scalar, or (...) for "none", and the cache. If no token counts, the loss
    and its gradient are 0. Raises ValueError if shapes or classes do not fit, TypeError for other
    than float logits and integer targets.

    >>> loss, cache = cross_entropy(np.log([[0.5, 0.5], [0.2, 0.8]]), np.array([0, 1]))
    >>> round(float(loss), 4)  # (log 2 − log 0.8) / 2
    0.4581
    """
    require_choice("reduction", reduction, ("mean", "sum", "none"))
    losses, tokens = token_losses(
        logits, targets, ignore=ignore, label_smoothing=label_smoothing, weights=weights
    )
    if reduction == "none":
        return losses, CrossEntropyCache(tokens, reduction, 1.0)
    counted, N = tokens.counts, 1.0
    if reduction == "mean":
        shares = counted if weights is None else weights[tokens.targets][counted]
        N = float(shares.sum()) or 1.0
    total = losses[counted].sum() / losses.real.dtype.type(N)
    return total, CrossEntropyCache(tokens, reduction, N)


@quiet
def cross_entropy_backward(dloss, cache: CrossEntropyCache) -> np.ndarray:
    """dlogits from dloss, a scalar, or (...) for "none": each token costs dloss / N.

    Raises ValueError if dloss has another shape than the loss.
    """
    tokens, reduction, N = cache
    shape = tokens.targets.shape if reduction == "none" else ()
    require_shapes("dloss =..., loss ...", Shape(np.shape(dloss)), Shape(shape))
    return token_losses_backward(np.broadcast_to(dloss / N, tokens.targets.shape), tokens)
