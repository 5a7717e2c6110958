# npattn: heads=2 rotary=pairs
import numpy as np
class Rope:
    def __init__(self, d=16, heads=2):
        g = np.random.default_rng(0)
        self.h = heads
        self.wq, self.wk, self.wv, self.wo = g.normal(size=(4, d, d)) / 4
    def rotate(self, x):
        t, d = x.shape[-2:]
        a = np.arange(t)[:, None] / 10000 ** (np.arange(0, d, 2) / d)
        y = np.empty_like(x)
        y[..., ::2] = x[..., ::2] * np.cos(a) + x[..., 1::2] * np.sin(a)
        y[..., 1::2] = x[..., ::2] * np.sin(a) + x[..., 1::2] * np.cos(a)
        return y
    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (np.swapaxes((x @ w).reshape(b, t, self.h, -1), 1, 2) for w in (self.wq, self.wk, self.wv))
        q, k = self.rotate(q), self.rotate(k)
        s = q @ k.swapaxes(2, 3) / np.sqrt(d // self.h)
        e = np.exp(s - s.max(-1, keepdims=True))
        return np.swapaxes(e / e.sum(-1, keepdims=True) @ v, 1, 2).reshape(b, t, d) @ self.wo
