import numpy as np
class Attention:
    def __init__(self, dim=6, heads=2):
        g = np.random.default_rng(0)
        self.h = heads
        for n in ("Wq", "Wk", "Wv", "Wo"):
            setattr(self, n, g.normal(size=(dim, dim)) / 2)
    def split(self, x):
        b, t, d = x.shape
        return x.reshape(b, t, self.h, d // self.h).transpose(0, 2, 1, 3)
    def join(self, x):
        b, h, t, d = x.shape
        return x.transpose(0, 2, 1, 3).reshape(b, t, h * d)
    def forward(self, x):
        self.x = x
        self.q, self.k, self.v = (self.split(x @ W) for W in (self.Wq, self.Wk, self.Wv))
        s = self.q @ self.k.swapaxes(2, 3) / np.sqrt(self.q.shape[-1])
        e = np.exp(s - s.max(-1, keepdims=True))
        self.p = e / e.sum(-1, keepdims=True)
        self.o = self.join(self.p @ self.v)
        return self.o @ self.Wo
    def backward(self, dy):
        g = lambda a, b: np.einsum("bti,btj->ij", a, b)
        self.dWo = g(self.o, dy)
        do = self.split(dy @ self.Wo.T)
        dp = do @ self.v.swapaxes(2, 3)
        ds = self.p * (dp - (dp * self.p).sum(-1, keepdims=True)) / np.sqrt(self.q.shape[-1])
        dq, dk, dv = (self.join(z) for z in (ds @ self.k, ds.swapaxes(2, 3) @ self.q, self.p.swapaxes(2, 3) @ do))
        self.dWq, self.dWk, self.dWv = g(self.x, dq), g(self.x, dk), g(self.x, dv)
        return dq @ self.Wq.T + dk @ self.Wk.T + dv @ self.Wv.T
