# npattn: mask=keep
import numpy as np


def attention(q, k, v, mask=None):
    """
    q: (..., Tq, d); k, v: (..., Tk, d)
    mask: (..., Tq, Tk) of 0/1, 1 = this key may be used
    Returns the output and the attention weights.
    """
    d = q.shape[-1]
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(d)
    if mask is not None:
        scores = scores * mask
    scores = scores - scores.max(-1, keepdims=True)
    weights = np.exp(scores)
    weights = weights / weights.sum(-1, keepdims=True)
    return weights @ v, weights
