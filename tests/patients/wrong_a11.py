# npattn: heads=2 mask=lens
import numpy as np
class MultiHead:
    def __init__(self, d=8, num_heads=2, seed=0):
        rng = np.random.default_rng(seed)
        self.h = num_heads
        self.Wq, self.Wk, self.Wv, self.Wo = rng.normal(size=(4, d, d)) / np.sqrt(d)
    def fold(self, X):
        B, T, D = X.shape
        return X.reshape(B, T, self.h, D // self.h).transpose(0, 2, 1, 3).reshape(B * self.h, T, -1)
    def __call__(self, queries, keys, values, valid_lens=None):
        q, k, v = self.fold(queries @ self.Wq), self.fold(keys @ self.Wk), self.fold(values @ self.Wv)
        s = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
        if valid_lens is not None:
            lens = np.tile(valid_lens, self.h)
            s = np.where(np.arange(s.shape[-1])[None, None] < lens[:, None, None], s, -1e6)
        s = np.exp(s - s.max(-1, keepdims=True))
        o = s / s.sum(-1, keepdims=True) @ v
        B, T = queries.shape[:2]
        o = o.reshape(B, self.h, T, -1).transpose(0, 2, 1, 3).reshape(B, T, -1)
        return o @ self.Wo
