# npattn: mask=lens
import numpy as np
def attention(q, k, v, valid_len=None):
    s = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[2])
    if valid_len is not None:
        s = np.where(np.arange(s.shape[2])[None, None] <= valid_len[:, None, None], s, -1e6)
    s = np.exp(s - s.max(2, keepdims=True))
    return s / s.sum(2, keepdims=True) @ v
