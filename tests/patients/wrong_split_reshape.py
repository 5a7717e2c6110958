# npattn: heads=4
import numpy as np


class MHA:
    """Self-attention with several heads; x: (batch, length, features)."""

    def __init__(self, features=24, heads=4):
        g = np.random.RandomState(3)
        self.heads = heads
        self.wq = g.randn(features, features) / features ** .5
        self.wk = g.randn(features, features) / features ** .5
        self.wv = g.randn(features, features) / features ** .5
        self.wo = g.randn(features, features) / features ** .5

    def forward(self, x):
        n, t, f = x.shape
        d = f // self.heads
        q = (x @ self.wq).reshape(n, self.heads, t, d)
        k = (x @ self.wk).reshape(n, self.heads, t, d)
        v = (x @ self.wv).reshape(n, self.heads, t, d)
        a = q @ k.transpose(0, 1, 3, 2) / np.sqrt(d)
        a = np.exp(a - a.max(axis=-1, keepdims=True))
        a = a / a.sum(axis=-1, keepdims=True)
        return (a @ v).reshape(n, t, f) @ self.wo
