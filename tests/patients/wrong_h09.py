import numpy as np
class Layer:
    def __init__(self, d_model=16, n_heads=2, seed=0):
        r = np.random.default_rng(seed); s = d_model ** -0.5
        self.h = n_heads
        self.W_q = r.normal(0, s, (d_model, d_model)); self.W_k = r.normal(0, s, (d_model, d_model))
        self.W_v = r.normal(0, s, (d_model, d_model)); self.W_o = r.normal(0, s, (d_model, d_model))
    def split(self, z):
        b, t, d = z.shape
        return z.reshape(b, t, self.h, d // self.h).transpose(0, 2, 1, 3)
    def merge(self, z):
        b, h, t, d = z.shape
        return z.transpose(0, 2, 1, 3).reshape(b, t, h * d)
    def forward(self, x):
        self.x = x
        self.q, self.k, self.v = self.split(x @ self.W_q), self.split(x @ self.W_k), self.split(x @ self.W_v)
        s = self.q @ self.k.swapaxes(-1, -2) / np.sqrt(self.q.shape[-1])
        e = np.exp(s - s.max(-1, keepdims=True)); self.p = e / e.sum(-1, keepdims=True)
        self.z = self.merge(self.p @ self.v)
        return self.z @ self.W_o
    def backward(self, dy):
        dz = dy @ self.W_o.T
        self.dW_o = np.einsum("btd,bte->de", self.x, dy)
        dh = self.split(dz)
        dv = self.p.swapaxes(-1, -2) @ dh
        dp = dh @ self.v.swapaxes(-1, -2)
        ds = self.p * (dp - (dp * self.p).sum(-1, keepdims=True)) / np.sqrt(self.q.shape[-1])
        dq, dk, dv = self.merge(ds @ self.k), self.merge(ds.swapaxes(-1, -2) @ self.q), self.merge(dv)
        self.dW_q = np.einsum("btd,bte->de", self.x, dq)
        self.dW_k = np.einsum("btd,bte->de", self.x, dk)
        self.dW_v = np.einsum("btd,bte->de", self.x, dv)
        return dq @ self.W_q.T + dk @ self.W_k.T + dv @ self.W_v.T
