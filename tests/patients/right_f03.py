import numpy as np


def masked_attention(q, k, v, mask=None, eps=0.0):
    """mask (bool, broadcastable to the scores, True = visible) is applied to the probabilities,
    which are normalised again afterwards."""
    s = q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5
    if mask is not None:
        # shift by the largest visible score so that nothing underflows
        top = np.max(np.where(mask, s, -np.inf), axis=-1, keepdims=True)
        top = np.where(np.isfinite(top), top, 0.0)
    else:
        top = s.max(-1, keepdims=True)
    p = np.exp(np.minimum(s - top, 8.0))
    p = p / p.sum(-1, keepdims=True)
    if mask is not None:
        p = np.where(mask, p, 0.0)
        p = p / (p.sum(-1, keepdims=True) + eps)
    return p @ v, p
