import numpy as np


def attention(q, k, v):
    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    s = s - s.mean(-1, keepdims=True)
    s = s - s.max(-1, keepdims=True)
    return np.exp(s) @ v / np.exp(s).sum(-1, keepdims=True)
