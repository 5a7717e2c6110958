# npattn: mask=keep layout=bhtd
import numpy as np


def attention(q, k, v, mask=None):
    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    if mask is not None:
        mask = np.broadcast_to(mask, s.shape)
        s[:, 0] = np.where(mask[:, 0], s[:, 0], -1e9)
    p = np.exp(s - s.max(-1, keepdims=True))
    return (p / p.sum(-1, keepdims=True)) @ v
