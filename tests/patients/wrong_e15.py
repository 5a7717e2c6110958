# npattn: heads=1 width=6
import numpy as np


class AttentionLayer:
    def __init__(self, d=6, seed=0):
        rng = np.random.default_rng(seed)
        self.Wq, self.Wk, self.Wv, self.Wo = (rng.normal(0, d ** -0.5, (d, d)) for _ in range(4))
        self.bo = np.zeros(d)
        self.grads = {}

    def forward(self, X):
        self.X = X
        self.Q, self.K, self.V = X @ self.Wq, X @ self.Wk, X @ self.Wv
        S = self.Q @ self.K.swapaxes(1, 2) / np.sqrt(X.shape[-1])
        E = np.exp(S - S.max(-1, keepdims=True))
        self.A = E / E.sum(-1, keepdims=True)
        self.H = self.A @ self.V
        return self.H @ self.Wo + self.bo

    def backward(self, dY):
        t = lambda M: M.swapaxes(1, 2)
        self.grads["Wo"] = (t(self.H) @ dY).sum(0)
        self.grads["bo"] = dY.sum(1).mean(0)
        dH = dY @ self.Wo.T
        dV = t(self.A) @ dH
        dA = dH @ t(self.V)
        dS = self.A * (dA - (dA * self.A).sum(-1, keepdims=True)) / np.sqrt(self.X.shape[-1])
        dQ, dK = dS @ self.K, t(dS) @ self.Q
        for name, g in (("Wq", dQ), ("Wk", dK), ("Wv", dV)):
            self.grads[name] = (t(self.X) @ g).sum(0)
        return dQ @ self.Wq.T + dK @ self.Wk.T + dV @ self.Wv.T
