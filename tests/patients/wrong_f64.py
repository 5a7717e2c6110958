import numpy as np


def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class SelfAttention:
    def __init__(self, d, seed=0):
        r = np.random.default_rng(seed)
        self.params = {n: r.normal(size=(d, d)) / d**0.5 for n in ("Wq", "Wk", "Wv")}
        self.grads = {}

    def forward(self, x, mask=None):
        p = self.params
        self.x = x
        self.q, self.k, self.v = x @ p["Wq"], x @ p["Wk"], x @ p["Wv"]
        s = self.q @ self.k.swapaxes(1, 2) / np.sqrt(x.shape[-1])
        if mask is not None:
            s = np.where(mask, s, -np.inf)
        self.a = softmax(s)
        return self.a @ self.v

    def backward(self, dy):
        p, x, d = self.params, self.x, self.x.shape[-1]
        dv = self.a.swapaxes(1, 2) @ dy
        da = dy @ self.v.swapaxes(1, 2)
        ds = self.a * (da - (da * self.a).sum(-1, keepdims=True)) / np.sqrt(d)
        dq, dk = ds @ self.k, ds.swapaxes(1, 2) @ self.q
        flat = lambda t: t.reshape(-1, t.shape[-1])
        self.grads = {"Wq": flat(x).T @ flat(dq), "Wk": flat(x).T @ flat(dk), "Wv": flat(dv).T @ flat(x)}
        return dq @ p["Wq"].T + dk @ p["Wk"].T + dv @ p["Wv"].T
