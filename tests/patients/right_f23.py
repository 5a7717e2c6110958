# npattn: mask=drop
import numpy as np


def soft_capped_attention(q, k, v, mask=None, soft_cap=None):
    """(..., T, d). soft_cap=None switches the cap off. mask True = ignored."""
    x = q @ np.swapaxes(k, -1, -2) * (1.0 / np.sqrt(q.shape[-1]))
    if soft_cap is not None:
        x = np.tanh(x / soft_cap) * soft_cap
    if mask is not None:
        x = np.where(mask, -np.inf, x)
    hi = np.max(x, axis=-1, keepdims=True)
    lse = hi + np.log(np.sum(np.exp(x - hi), axis=-1, keepdims=True))
    return np.exp(x - lse) @ v
