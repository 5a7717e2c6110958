import numpy as np


class MHA:
    def __init__(self, dim, heads=2, seed=0):
        rng = np.random.default_rng(seed)
        self.h = heads
        self.Wqkv = rng.standard_normal((dim, 3 * dim)) / dim**0.5
        self.bqkv = np.zeros(3 * dim)
        self.Wo = rng.standard_normal((dim, dim)) / dim**0.5
        self.grads = {}

    def split(self, x):
        B, T, D = x.shape
        return x.reshape(B, T, self.h, -1).transpose(0, 2, 1, 3)

    def merge(self, x):
        B, H, T, d = x.shape
        return x.transpose(0, 2, 1, 3).reshape(B, T, H * d)

    def forward(self, x):
        q, k, v = (self.split(t) for t in np.split(x @ self.Wqkv + self.bqkv, 3, -1))
        self.scale = q.shape[-1] ** -0.5
        s = q @ k.swapaxes(-1, -2) * self.scale
        p = np.exp(s - s.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        o = self.merge(p @ v)
        self.cache = x, q, k, v, p, o
        return o @ self.Wo

    def backward(self, dy):
        x, q, k, v, p, o = self.cache
        self.grads["Wo"] = np.einsum("bti,btj->ij", o, dy)
        do = self.split(dy @ self.Wo.T)
        dv = p.swapaxes(-1, -2) @ do
        dp = do @ v.swapaxes(-1, -2)
        ds = p * (dp - (dp * p).sum(-1, keepdims=True)) * self.scale
        dq, dk = ds @ k, ds.swapaxes(-1, -2) @ q
        d = np.concatenate([self.merge(dq), self.merge(dk), self.merge(dv)], -1)
        self.grads["Wqkv"] = np.einsum("bti,btj->ij", x, d)
        self.grads["bqkv"] = d.mean((0, 1))
        return d @ self.Wqkv.T
