"""What each token costs: the cross-entropy with a target that may be smoothed and weighted.

    L = log_softmax(logits)                            (..., C)
    q_nc = w_c ((1 − ε) [c = target_n] + ε / C)        the target, smoothed by ε, weights w (C,)
    loss_n = − Σ_c q_nc L_nc                           (...) in nats, 0 where a token is ignored

    dlogits_nc = dloss_n (exp(L_nc) Σ_c q_nc − q_nc)   Σ_c q_nc is 1 where all classes weigh 1

`...` stands for any axes of tokens. The page `losses` adds them up.
Source: d2l 4.1.2; Szegedy et al. 2016, section 7, and Vaswani et al. 2017, section 5.4, for ε.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats, require_integers
from npattn.kernels.floats import quiet
from npattn.kernels.options import require_counts, require_number
from npattn.kernels.shapes import require_shapes
from npattn.kernels.softmax import log_softmax


class TokenLossesCache(NamedTuple):
    """What token_losses_backward reads."""

    L: np.ndarray        # (..., C) log-probabilities
    targets: np.ndarray  # (...) 0 where ignored
    counts: np.ndarray   # (...) bool, False where ignored
    label_smoothing: float
    weights: np.ndarray | None  # (C,)


@quiet
def token_losses(
    logits, targets, *, ignore=None, label_smoothing=0.0, weights=None
) -> tuple[np.ndarray, TokenLossesCache]:
    """−log(probability of the right class) of every token, in nats.

    logits           (..., C)  real scores
    targets          (...)     the right classes, integers from 0 to C − 1
    ignore           the target value that marks padding; None counts every token
    label_smoothing  ε in [0, 1): the share of the target spread evenly over all classes
    weights          (C,) ≥ 0, how much each class counts; None means all alike

    Returns the losses (...) and the cache. A token that is ignored, or of weight 0, costs nothing.
    Raises ValueError if shapes or classes do not fit, TypeError for other than float logits
    and integer targets.

    >>> token_losses(np.log([[0.5, 0.5], [0.2, 0.8]]), np.array([0, 1]))[0].round(4).tolist()
    [0.6931, 0.2231]
    """
    _require_classes(logits, targets, ignore, weights)
    eps, C = require_number(label_smoothing=label_smoothing), logits.shape[-1]
    if not 0.0 <= eps < 1.0:
        raise ValueError(f"label_smoothing must lie in [0, 1), got {label_smoothing!r}")
    counts = np.ones(targets.shape, bool) if ignore is None else targets != ignore
    targets = np.where(counts, targets, 0)
    L = log_softmax(logits)
    terms = np.take_along_axis(L, targets[..., None], axis=-1)[..., 0]
    if weights is not None:
        terms = terms * weights[targets]
    if eps:
        even = L.mean(axis=-1) if weights is None else L @ weights / C
        terms = (1.0 - eps) * terms + eps * even
    return np.where(counts, -terms, terms.dtype.type(0)), TokenLossesCache(
        L, targets, counts, eps, weights
    )


@quiet
def token_losses_backward(dY, cache: TokenLossesCache) -> np.ndarray:
    """dlogits from dY (...): the softmax, times what the target weighs, minus the target."""
    L, targets, counts, eps, weights = cache
    require_shapes("dY =..., targets:int ...", dY, targets)
    C, right = L.shape[-1], targets[..., None]
    dlogits = np.exp(L)
    if weights is None:
        dlogits -= eps / C
        weight = 1.0
    else:
        weight = weights[right]
        dlogits *= (1.0 - eps) * weight + eps / C * weights.sum()
        dlogits -= eps / C * weights
    onehot = np.take_along_axis(dlogits, right, axis=-1) - (1.0 - eps) * weight
    np.put_along_axis(dlogits, right, onehot, axis=-1)
    dlogits *= dY[..., None]
    return np.where(counts[..., None], dlogits, dlogits.dtype.type(0))


def _require_classes(logits, targets, ignore, weights):
    require_floats(logits=logits, **({} if weights is None else {"weights": weights}))
    require_integers(targets=targets)
    if ignore is not None:
        require_counts(None, ignore=ignore)
    if not logits.ndim or targets.shape != logits.shape[:-1]:
        raise ValueError(f"targets {targets.shape} do not fit logits {logits.shape}: "
                         "targets must have the logits' shape without its last axis")
    C = logits.shape[-1]
    classes = targets if ignore is None else targets[targets != ignore]
    if classes.size and (classes.min() < 0 or classes.max() >= C):
        raise ValueError(f"targets must lie in 0 … {C - 1}, the classes of the logits; "
                         f"got {classes.min()} … {classes.max()}")
    if weights is not None and (weights.shape != (C,) or weights.min(initial=0.0) < 0.0):
        raise ValueError(f"weights must be ({C},), one for each class, and 0 or more; "
                         f"got shape {weights.shape}")
