import numpy as np
def attention(q, k, v, attn_mask):
    s = np.where(attn_mask, -np.inf, q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]))
    s = np.exp(s - s.max(-1, keepdims=True))
    return s / s.sum(-1, keepdims=True) @ v
