# npattn: mask=drop
import numpy as np
def attention(q, k, v, pad=None):
    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    if pad is not None:
        s = s + pad * -1e30
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) @ v
