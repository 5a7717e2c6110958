import numpy as np
class AttentionLayer:
    def __init__(self, n_in=6, n_out=5):
        rng = np.random.default_rng(5)
        self.W = {c: rng.normal(size=(n_in, n_out)) * 0.6 for c in "qkv"}
        self.b = {c: rng.normal(size=n_out) for c in "qkv"}
    def forward(self, X):
        self.X = X
        self.q, self.k, self.v = (X @ self.W[c] + self.b[c] for c in "qkv")
        s = self.q @ self.k.swapaxes(-1, -2) * self.q.shape[-1] ** -0.5
        s = np.exp(s - s.max(-1, keepdims=True))
        self.p = s / s.sum(-1, keepdims=True)
        return self.p @ self.v
    def backward(self, dO):
        c = self.q.shape[-1] ** -0.5
        dP = dO @ self.v.swapaxes(-1, -2)
        dS = self.p * (dP - np.sum(dP * self.p, -1, keepdims=True)) * c
        d = {"q": dS @ self.k, "k": dS.swapaxes(-1, -2) @ self.q, "v": self.p.swapaxes(-1, -2) @ dO}
        self.dW = {n: np.einsum("bti,bto->io", self.X, g) for n, g in d.items()}
        self.db = {n: g.sum((0, 1)) for n, g in d.items()}
        return sum(g @ self.W[n].T for n, g in d.items())
