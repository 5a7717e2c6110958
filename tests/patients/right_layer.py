import numpy as np


class Attention:
    def forward(self, q, k, v):
        self.q, self.k, self.v = q, k, v
        s = np.matmul(q, k.swapaxes(-2, -1)) / np.sqrt(q.shape[-1])
        s = np.exp(s - s.max(-1, keepdims=True))
        self.p = s / s.sum(-1, keepdims=True)
        return np.matmul(self.p, v)

    def backward(self, dout):
        dv = np.matmul(self.p.swapaxes(-2, -1), dout)
        dp = np.matmul(dout, self.v.swapaxes(-2, -1))
        delta = (dout * np.matmul(self.p, self.v)).sum(-1, keepdims=True)
        ds = self.p * (dp - delta) / np.sqrt(self.q.shape[-1])
        return np.matmul(ds, self.k), np.matmul(ds.swapaxes(-2, -1), self.q), dv
