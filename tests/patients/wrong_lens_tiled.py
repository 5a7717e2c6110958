# npattn: layout=bhtd
import numpy as np


def attention(q, k, v, valid_lens=None):
    B, H, T, D = q.shape
    q, k, v = (z.reshape(B * H, *z.shape[2:]) for z in (q, k, v))
    s = q @ k.swapaxes(1, 2) / np.sqrt(D)
    if valid_lens is not None:
        lens = np.tile(valid_lens, H)
        s = np.where(np.arange(s.shape[-1]) < lens[:, None, None], s, -1e6)
    p = np.exp(s - s.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return (p @ v).reshape(B, H, T, -1)
