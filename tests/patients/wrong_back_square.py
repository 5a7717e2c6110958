import numpy as np


class Layer:
    def forward(self, q, k, v):
        self.q, self.k, self.v = q, k, v
        s = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
        e = np.exp(s - s.max(-1, keepdims=True))
        self.a = e / e.sum(-1, keepdims=True)
        return self.a @ v

    def backward(self, dout):
        dv = self.a @ dout
        da = dout @ np.swapaxes(self.v, -1, -2)
        ds = self.a * (da - (da * self.a).sum(-1, keepdims=True)) / np.sqrt(self.q.shape[-1])
        return ds @ self.k, np.swapaxes(ds, -1, -2) @ self.q, dv
