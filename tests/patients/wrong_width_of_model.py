# npattn: heads=4
import numpy as np


class MultiHead:
    def __init__(self, d_model=32, heads=4, seed=0):
        rng = np.random.default_rng(seed)
        self.h, self.d = heads, d_model
        self.Wq, self.Wk, self.Wv, self.Wo = rng.normal(0, d_model ** -0.5, (4, d_model, d_model))

    def heads(self, x):
        b, t, _ = x.shape
        return x.reshape(b, t, self.h, -1).transpose(0, 2, 1, 3)

    def __call__(self, x):
        q, k, v = self.heads(x @ self.Wq), self.heads(x @ self.Wk), self.heads(x @ self.Wv)
        s = q @ k.transpose(0, 1, 3, 2) / np.sqrt(self.d)
        s = np.exp(s - s.max(-1, keepdims=True))
        s /= s.sum(-1, keepdims=True)
        y = (s @ v).transpose(0, 2, 1, 3).reshape(x.shape)
        return y @ self.Wo
