# npattn: heads=2 causal=yes
import numpy as np


def halves(x, pos):
    d = x.shape[-1] // 2
    a = pos[:, None] * 10000.0 ** (-np.arange(d) / d)
    u, w = x[..., :d], x[..., d:]
    return np.concatenate([u * np.cos(a) - w * np.sin(a), u * np.sin(a) + w * np.cos(a)], -1)


def pairs(x, pos):
    d = x.shape[-1] // 2
    a = pos[:, None] * 10000.0 ** (-np.arange(d) / d)
    y = np.empty_like(x)
    y[..., ::2] = x[..., ::2] * np.cos(a) - x[..., 1::2] * np.sin(a)
    y[..., 1::2] = x[..., ::2] * np.sin(a) + x[..., 1::2] * np.cos(a)
    return y


class RotaryAttention:
    def __init__(self, d=16, heads=2):
        r = np.random.default_rng(5)
        self.heads = heads
        self.wq, self.wk, self.wv, self.wo = r.normal(size=(4, d, d)) / d ** .5

    def __call__(self, x):
        B, T, D = x.shape
        cut = lambda z: z.reshape(B, T, self.heads, -1).swapaxes(1, 2)
        pos = np.arange(T)
        q, k, v = halves(cut(x @ self.wq), pos), pairs(cut(x @ self.wk), pos), cut(x @ self.wv)
        s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        s = np.where(np.tri(T, dtype=bool), s, -np.inf)
        p = np.exp(s - s.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        return (p @ v).swapaxes(1, 2).reshape(B, T, D) @ self.wo
