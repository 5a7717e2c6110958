# npattn: heads=2 width=8
import numpy as np


def init(d, seed=0):
    rng = np.random.default_rng(seed)
    return {n: rng.standard_normal((d, d)) / np.sqrt(d) for n in ("wq", "wk", "wv", "wo")}


class MultiHead:
    def __init__(self, d=8, heads=2, params=None):
        self.d, self.heads = d, heads
        params = params or init(d)
        self.wq, self.wk, self.wv, self.wo = (params[n] for n in ("wq", "wk", "wv", "wo"))

    def __call__(self, x):
        B, T, D = x.shape
        dh = D // self.heads
        q = (x @ self.wq).reshape(B, self.heads, T, dh)
        k = (x @ self.wk).reshape(B, self.heads, T, dh)
        v = (x @ self.wv).reshape(B, self.heads, T, dh)
        s = q @ k.transpose(0, 1, 3, 2) / np.sqrt(dh)
        w = np.exp(s - s.max(-1, keepdims=True))
        w /= w.sum(-1, keepdims=True)
        return (w @ v).transpose(0, 2, 1, 3).reshape(B, T, D) @ self.wo
