import numpy as np
class MultiHead:
    def __init__(self, dim=12, heads=3):
        g = np.random.default_rng(4)
        self.heads = heads
        self.W_q, self.W_k, self.W_v, self.W_o = g.normal(size=(4, dim, dim)) / 3
    def forward(self, X):
        b, t, d = X.shape
        q, k, v = (np.einsum("btd,de->bte", X, W).reshape(b, t, self.heads, -1) for W in (self.W_q, self.W_k, self.W_v))
        s = np.einsum("bqhe,bkhe->bhqk", q, k) / np.sqrt(d / self.heads)
        a = np.exp(s - s.max(-1, keepdims=True)); a = a / a.sum(-1, keepdims=True)
        return np.einsum("bhqk,bkhe->bqeh", a, v).reshape(b, t, d) @ self.W_o
