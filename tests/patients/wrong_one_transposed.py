# npattn: heads=1
import numpy as np


class SelfAttention:
    def __init__(self, d=6):
        r = np.random.default_rng(17)
        self.Wq, self.Wk, self.Wv = r.normal(size=(3, d, d)) * .4

    def __call__(self, x):
        q, k, v = x @ self.Wq, x @ self.Wk.T, x @ self.Wv
        s = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
        s = np.exp(s - s.max(axis=-1, keepdims=True))
        return s / s.sum(axis=-1, keepdims=True) @ v
