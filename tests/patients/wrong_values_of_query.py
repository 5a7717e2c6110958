# npattn: heads=1
import numpy as np


class CrossAttention:
    def __init__(self, d=6):
        r = np.random.default_rng(23)
        self.wq, self.wk, self.wv = r.normal(size=(3, d, d)) * .4

    def __call__(self, x, memory):
        q, k, v = x @ self.wq, memory @ self.wk, memory @ self.wk
        s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        s = np.exp(s - s.max(-1, keepdims=True))
        return s / s.sum(-1, keepdims=True) @ v
