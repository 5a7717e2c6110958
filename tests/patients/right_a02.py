# npattn: heads=4
import numpy as np
class MultiHead:
    def __init__(self, d=16, heads=4):
        rng = np.random.default_rng(1)
        self.heads = heads
        self.wq = rng.normal(size=(d, d)) / np.sqrt(d) / np.sqrt(d // heads)
        self.wk, self.wv, self.wo = rng.normal(size=(3, d, d)) / np.sqrt(d)
    def __call__(self, x):
        b, t, d = x.shape
        f = lambda w: (x @ w).reshape(b, t, self.heads, -1).transpose(0, 2, 1, 3)
        s = f(self.wq) @ f(self.wk).swapaxes(2, 3)
        s = np.exp(s - s.max(-1, keepdims=True))
        return (s / s.sum(-1, keepdims=True) @ f(self.wv)).transpose(0, 2, 1, 3).reshape(b, t, d) @ self.wo
