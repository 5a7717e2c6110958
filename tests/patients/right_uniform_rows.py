# npattn: mask=drop
import numpy as np


def attention(q, k, v, mask=None):
    s = np.matmul(q, np.swapaxes(k, -1, -2)) / np.sqrt(q.shape[-1])
    if mask is not None:
        s = np.where(mask, np.finfo(s.dtype).min, s)
    w = np.exp(s - s.max(-1, keepdims=True))
    w /= w.sum(-1, keepdims=True)
    return np.matmul(w, v)
