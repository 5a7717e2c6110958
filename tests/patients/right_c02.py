import numpy as np
def attention(q, k, v, lengths):
    s = np.where(np.arange(k.shape[1]) < lengths[:, None, None], q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]), -np.inf)
    s = np.exp(s - s.max(-1, keepdims=True))
    return s / s.sum(-1, keepdims=True) @ v
