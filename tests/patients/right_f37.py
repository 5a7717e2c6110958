import numpy as np


def rope_attention(q, k, v, causal=True):
    """(B, T, H, D), interleaved pairs"""
    def rot(x):
        t, d = x.shape[1], x.shape[-1]
        ang = np.arange(t)[:, None] / 10000 ** (np.arange(0, d, 2) / d)
        c, s = np.cos(ang)[:, None], np.sin(ang)[:, None]
        y = np.empty_like(x)
        y[..., ::2] = x[..., ::2] * c - x[..., 1::2] * s
        y[..., 1::2] = x[..., ::2] * s + x[..., 1::2] * c
        return y
    q, k = rot(q), rot(k)
    s = np.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5
    if causal:
        s = np.where(np.tri(q.shape[1], k.shape[1], dtype=bool), s, -np.inf)
    s = np.exp(s - s.max(-1, keepdims=True))
    return np.einsum("bhqk,bkhd->bqhd", s / s.sum(-1, keepdims=True), v)
