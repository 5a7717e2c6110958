import numpy as np
def cross_attend(q, k, v, k_len):
    """q (B, Tq, D), k, v (B, Tk, D), k_len (B,)"""
    s = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[2])
    idx = np.arange(q.shape[1])
    m = idx[None, :] < k_len[:, None]
    s = np.where(m[:, :, None], s, -1e9)
    s = np.exp(s - s.max(-1, keepdims=True))
    return s / s.sum(-1, keepdims=True) @ v
