import numpy as np


class MultiHeadLayer:
    """Multi-head self-attention with a hand-written backward pass; gradients in dWqkv, dbqkv, dWo, dbo."""

    def __init__(self, dim=8, heads=2, seed=0):
        rng = np.random.default_rng(seed)
        self.heads = heads
        self.Wqkv = rng.normal(size=(dim, 3 * dim)) * dim ** -0.5
        self.bqkv = np.zeros(3 * dim)
        self.Wo = rng.normal(size=(dim, dim)) * dim ** -0.5
        self.bo = np.zeros(dim)

    def forward(self, x):
        B, T, C = x.shape
        qkv = (x @ self.Wqkv + self.bqkv).reshape(B, T, 3, self.heads, C // self.heads).transpose(2, 0, 3, 1, 4)
        q, k, v = qkv
        s = q @ k.swapaxes(-1, -2) / np.sqrt(C // self.heads)
        s -= s.max(-1, keepdims=True)
        np.exp(s, out=s)
        s /= s.sum(-1, keepdims=True)
        y = (s @ v).transpose(0, 2, 1, 3).reshape(B, T, C)
        self._ctx = (x, qkv, s, y)
        return y @ self.Wo + self.bo

    def backward(self, dout):
        x, (q, k, v), p, y = self._ctx
        B, T, C = x.shape
        self.dbo = dout.sum((0, 1))
        self.dWo = np.einsum('bti,btj->ij', y, dout)
        dy = (dout @ self.Wo.T).reshape(B, T, self.heads, -1).transpose(0, 2, 1, 3)
        dp = dy @ v.swapaxes(-1, -2)
        ds = p * dp
        ds -= p * ds.sum(-1, keepdims=True)
        ds /= np.sqrt(C // self.heads)
        dqkv = np.stack([ds @ k, ds.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ dy])
        dqkv = dqkv.transpose(1, 3, 0, 2, 4).reshape(B, T, 3 * C)
        self.dbqkv = dqkv.sum((0, 1))
        self.dWqkv = np.einsum('bti,btj->ij', x, dqkv)
        return dqkv @ self.Wqkv.T
