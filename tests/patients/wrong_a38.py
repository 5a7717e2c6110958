# npattn: heads=1 causal=yes
import numpy as np
class Decoder:
    def __init__(self, d=8):
        r = np.random.default_rng(0)
        self.wq, self.wk, self.wv = r.normal(size=(3, d, d)) / np.sqrt(d)
        self.reset()
    def reset(self):
        self.ks, self.vs = [], []
    def forward(self, x):
        """all tokens at once (T, d)"""
        q, k, v = x @ self.wq, x @ self.wk, x @ self.wv
        s = q @ k.T / np.sqrt(q.shape[-1])
        s = np.where(np.tri(len(x), dtype=bool), s, -np.inf)
        e = np.exp(s - s.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True) @ v
    def step(self, x):
        """one token (d,)"""
        self.ks.append(x @ self.wk)
        s = np.array(self.ks) @ (x @ self.wq) / np.sqrt(len(x))
        self.vs = [x @ self.wv] + self.vs
        e = np.exp(s - s.max())
        return (e / e.sum()) @ np.array(self.vs)
