import numpy as np
class AttentionLayer:
    def __init__(self, d_in=6, d_out=4, seed=1):
        r = np.random.RandomState(seed)
        self.params = {n: r.randn(d_in, d_out) * 0.5 for n in ("Wq", "Wk", "Wv")}
        self.params.update({n: r.randn(d_out) for n in ("bq", "bk", "bv")})
        self.grads = {}
    def forward(self, X):
        p = self.params
        self.X = X
        self.q, self.k, self.v = (X @ p["W" + c] + p["b" + c] for c in "qkv")
        s = self.q @ self.k.transpose(0, 2, 1) / np.sqrt(self.q.shape[-1])
        s = np.exp(s - s.max(-1, keepdims=True))
        self.a = s / s.sum(-1, keepdims=True)
        return self.a @ self.v
    def backward(self, dY):
        p = self.params
        c = 1 / np.sqrt(self.q.shape[-1])
        dv = self.a.transpose(0, 2, 1) @ dY
        da = dY @ self.v.transpose(0, 2, 1)
        ds = self.a * (da - (da * self.a).sum(-1, keepdims=True)) * c
        dq, dk = ds @ self.k, ds.transpose(0, 2, 1) @ self.q
        dX = 0
        for n, g in zip("qkv", (dq, dk, dv)):
            self.grads["W" + n] = np.einsum("bti,bto->io", self.X, g)
            self.grads["b" + n] = g.sum(1).mean(0)
            dX = dX + g @ p["W" + n].T
        return dX
