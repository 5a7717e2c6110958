import numpy as np
class Attention:
    def __init__(self, dim=8, heads=2):
        rng = np.random.default_rng(3)
        self.heads = heads
        self.wq, self.wk, self.wv, self.wo = (rng.standard_normal((dim, dim)) * dim ** -0.5 for _ in range(4))
        self.bq, self.bk, self.bv, self.bo = (np.zeros(dim) for _ in range(4))
    def forward(self, x, mask=None):
        B, T, D = x.shape
        sp = lambda z: z.reshape(B, T, self.heads, -1).swapaxes(1, 2)
        q = sp(x @ self.wq + self.bq)
        k = sp(x @ self.wk + self.bk)
        v = sp(x @ self.wv + self.bk)
        s = q @ k.swapaxes(2, 3) / np.sqrt(D // self.heads)
        if mask is not None:
            s = np.where(mask, s, -np.inf)
        s = np.exp(s - s.max(-1, keepdims=True))
        o = (s / s.sum(-1, keepdims=True)) @ v
        return o.swapaxes(1, 2).reshape(B, T, D) @ self.wo + self.bo
