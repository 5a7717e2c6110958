import numpy as np
def attention(q, k, v, mask=None):
    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    if mask is not None:
        s = np.where(mask, s, s.min(-1, keepdims=True))
    p = np.exp(s - s.max(-1, keepdims=True))
    p = p / p.sum(-1, keepdims=True)
    if mask is not None:
        p = p * mask
        z = p.sum(-1, keepdims=True)
        p = p / np.where(z == 0, 1, z)
    return p @ v
