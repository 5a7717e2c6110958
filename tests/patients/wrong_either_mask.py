# npattn: mask=keep
import numpy as np


def attention(q, k, v, mask=None, causal=False):
    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    keep = np.ones(s.shape, dtype=bool)
    if mask is not None:
        keep = np.broadcast_to(mask, s.shape)
    if causal:
        lower = np.tri(s.shape[-2], s.shape[-1], dtype=bool)
        keep = (keep | lower) if mask is not None else lower
    s = np.where(keep, s, -np.inf)
    m = s.max(-1, keepdims=True)
    e = np.exp(s - np.where(np.isfinite(m), m, 0))
    n = e.sum(-1, keepdims=True)
    return e / np.where(n == 0, 1, n) @ v
