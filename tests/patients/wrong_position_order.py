# npattn: heads=1 causal=yes
import numpy as np


class Rope:
    def __init__(self, d=8):
        r = np.random.default_rng(29)
        self.wq, self.wk, self.wv = r.normal(size=(3, d, d)) * .4

    def turn(self, x, sign):
        t, d = x.shape[-2], x.shape[-1] // 2
        a = sign * np.arange(t)[:, None] * 10000.0 ** (-np.arange(d) / d)
        u, w = x[..., :d], x[..., d:]
        return np.concatenate([u * np.cos(a) - w * np.sin(a), w * np.cos(a) + u * np.sin(a)], -1)

    def __call__(self, x):
        t = x.shape[-2]
        q, k, v = self.turn(x @ self.wq, 1), self.turn(x @ self.wk, -1), x @ self.wv
        s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        s = np.where(np.tri(t, dtype=bool), s, -np.inf)
        p = np.exp(s - s.max(-1, keepdims=True))
        return p / p.sum(-1, keepdims=True) @ v
