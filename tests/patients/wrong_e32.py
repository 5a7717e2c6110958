# npattn: mask=drop layout=bhtd
import numpy as np


def sdpa(q, k, v, mask=None):
    s = np.matmul(q, np.swapaxes(k, -1, -2)) / np.sqrt(k.shape[-1])
    if mask is not None:
        s = s - 50.0 * mask.astype(s.dtype)
    s = s - np.max(s, -1, keepdims=True)
    w = np.exp(s)
    w /= w.sum(-1, keepdims=True)
    return np.matmul(w, v)
