import numpy as np


class Attention:
    def __init__(self, width, heads=2, dropout=0.2, seed=0):
        rng = np.random.default_rng(seed)
        self.heads, self.dropout, self.rng = heads, dropout, rng
        self.Wq, self.Wk, self.Wv, self.Wo = (rng.standard_normal((width, width)) / width**0.5 for _ in "qkvo")

    def __call__(self, x, training=False):
        B, T, D = x.shape
        q, k, v = ((x @ W).reshape(B, T, self.heads, -1).transpose(0, 2, 1, 3) for W in (self.Wq, self.Wk, self.Wv))
        s = q @ k.transpose(0, 1, 3, 2) / np.sqrt(D // self.heads)
        s = np.exp(s - s.max(-1, keepdims=True))
        p = s / s.sum(-1, keepdims=True)
        if training:
            keep = self.rng.random(p.shape) > self.dropout
            p = p * keep / self.dropout
        return (p @ v).transpose(0, 2, 1, 3).reshape(B, T, D) @ self.Wo
