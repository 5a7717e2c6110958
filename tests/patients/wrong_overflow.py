import numpy as np


def attention(q, k, v, mask=None):
    e = np.exp(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]))
    if mask is not None:
        e = e * mask
    return e / e.sum(-1, keepdims=True) @ v
