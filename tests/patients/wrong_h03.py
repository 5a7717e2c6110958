import numpy as np
def attention(q, k, v, pad):
    """q, k, v: (B, H, T, D); pad: (B, T) bool, True = ignore"""
    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    s = np.where(pad.any(0), -np.inf, s)
    w = np.exp(s - s.max(-1, keepdims=True))
    return (w / w.sum(-1, keepdims=True)) @ v
