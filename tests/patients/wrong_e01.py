# npattn: mask=keep layout=bhtd
import numpy as np


def attention(q, k, v, mask=None):
    """q, k, v: (batch, heads, time, dim); mask True = may look."""
    scores = np.matmul(q, k.swapaxes(-1, -2)) / np.sqrt(q.shape[-1])
    if mask is not None:
        scores = np.where(mask, scores, -1e30)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = e / e.sum(axis=1, keepdims=True)
    return np.matmul(weights, v)
