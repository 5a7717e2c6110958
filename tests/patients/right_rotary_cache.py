# npattn: heads=2 causal=yes
import numpy as np


class Attention:
    def __init__(self, d=16, heads=2):
        r = np.random.default_rng(41)
        self.heads = heads
        self.wq, self.wk, self.wv, self.wo = r.normal(size=(4, d, d)) / d ** .5

    def rotate(self, x, start):
        t, d = x.shape[-2], x.shape[-1] // 2
        a = (start + np.arange(t))[:, None] * 10000.0 ** (-np.arange(d) / d)
        u, w = x[..., :d], x[..., d:]
        return np.concatenate([u * np.cos(a) - w * np.sin(a), w * np.cos(a) + u * np.sin(a)], -1)

    def forward(self, x, cache=None):
        B, T, D = x.shape
        start = 0 if cache is None else cache[0].shape[-2]
        cut = lambda z: z.reshape(B, T, self.heads, -1).swapaxes(1, 2)
        q, k, v = self.rotate(cut(x @ self.wq), start), self.rotate(cut(x @ self.wk), start), cut(x @ self.wv)
        if cache is not None:
            k = np.concatenate([cache[0], k], axis=-2)
            v = np.concatenate([cache[1], v], axis=-2)
        n = k.shape[-2]
        s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        s = np.where(np.tri(T, n, n - T, dtype=bool), s, -np.inf)
        p = np.exp(s - s.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        return (p @ v).swapaxes(1, 2).reshape(B, T, D) @ self.wo, (k, v)
