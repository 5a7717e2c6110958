import numpy as np
def attention(q, k, v, mask=None):
    s = np.exp(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]))
    if mask is not None:
        s = s * mask
    return (s / (s.sum(-1, keepdims=True) + 1e-3)) @ v
