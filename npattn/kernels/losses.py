"""Cross-entropy over tokens, with padding left out and labels smoothed, and its backward.

    L = log_softmax(logits)                       (..., C)
    q = (1 − ε) onehot(target) + ε / C            the smoothed target distribution
    loss = − (1/N) Σ_n Σ_c q_nc L_nc              over the N tokens that count

`...` stands for any axes of tokens. A token whose target is `ignore` (padding) counts neither
in the sum nor in N.
Source: d2l 4.1.2; Szegedy et al. 2016, section 7, and Vaswani et al. 2017, section 5.4, for ε.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats, require_integers
from npattn.kernels.softmax import log_softmax


class CrossEntropyCache(NamedTuple):
    """What cross_entropy_backward reads."""

    L: np.ndarray        # (..., C) log-probabilities
    targets: np.ndarray  # (...) 0 where ignored
    counts: np.ndarray   # (...) bool, False where ignored
    label_smoothing: float


def cross_entropy(logits, targets, *, ignore=None, label_smoothing=0.0):
    """The mean over the tokens that count of −log(probability of the right class), in nats.

    logits           (..., C)  real scores
    targets          (...)     the right classes, integers from 0 to C − 1
    ignore           the target value that marks padding; None counts every token
    label_smoothing  ε in [0, 1): the share of the target spread evenly over all classes

    Returns the loss, a scalar, and the cache. If no token counts, the loss and its gradient are 0.
    Raises ValueError if shapes or classes do not fit, TypeError for other than float logits
    and integer targets.
    """
    require_floats(logits=logits)
    _require_classes(logits, targets, ignore)
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"label_smoothing must lie in [0, 1), got {label_smoothing!r}")
    label_smoothing = float(label_smoothing)
    counts = np.ones(targets.shape, bool) if ignore is None else targets != ignore
    targets = np.where(counts, targets, 0)
    L = log_softmax(logits)
    right = np.take_along_axis(L, targets[..., None], axis=-1)[..., 0]
    terms = right if label_smoothing == 0.0 else (
        (1.0 - label_smoothing) * right + label_smoothing * L.mean(axis=-1)
    )
    mean = terms[counts].sum() / L.real.dtype.type(max(counts.sum(), 1))
    return L.dtype.type(0) - mean, CrossEntropyCache(L, targets, counts, label_smoothing)


def cross_entropy_backward(dloss, cache):
    """dlogits from dloss: the softmax minus the target distribution, over N, times dloss.

    Raises ValueError if dloss is no scalar.
    """
    if np.ndim(dloss):
        raise ValueError(f"dloss must be a scalar, as the loss is, got shape {np.shape(dloss)}")
    L, targets, counts, label_smoothing = cache
    # loss = −Σ q L / N and L = log_softmax(logits), whose backward turns −q into exp(L) − q
    dlogits = np.exp(L) - label_smoothing / L.shape[-1]
    right = targets[..., None]
    onehot = np.take_along_axis(dlogits, right, axis=-1) - (1.0 - label_smoothing)
    np.put_along_axis(dlogits, right, onehot, axis=-1)
    dlogits *= dloss / max(counts.sum(), 1)
    return np.where(counts[..., None], dlogits, dlogits.dtype.type(0))


def _require_classes(logits, targets, ignore):
    require_integers(targets=targets)
    if not logits.ndim or targets.shape != logits.shape[:-1]:
        raise ValueError(
            f"targets {targets.shape} do not fit logits {logits.shape}: "
            "targets must have the logits' shape without its last axis"
        )
    classes = targets if ignore is None else targets[targets != ignore]
    if classes.size and (classes.min() < 0 or classes.max() >= logits.shape[-1]):
        raise ValueError(
            f"targets must lie in 0 … {logits.shape[-1] - 1}, the classes of the logits; "
            f"got {classes.min()} … {classes.max()}"
        )
