import numpy as np


class MultiHead:
    def __init__(self, d_model, n_heads=4, seed=0):
        r = np.random.default_rng(seed)
        self.H = n_heads
        self.W = {k: r.normal(0, d_model**-0.5, (d_model, d_model)) for k in "qkvo"}
        self.b = {k: np.zeros(d_model) for k in "qkvo"}

    def __call__(self, x, ctx=None):
        ctx = x if ctx is None else ctx
        B, T, D = x.shape
        d = D // self.H
        q = x @ self.W["q"] + self.b["q"]
        k = ctx @ self.W["k"] + self.b["k"]
        v = ctx @ self.W["v"] + self.b["v"]
        outs = []
        for h in range(self.H):
            i = slice(h * d, (h + 1) * d)
            s = q[..., i] @ k[..., i].swapaxes(-1, -2) / d**0.5
            w = np.exp(s - s.max(-1, keepdims=True))
            w /= w.sum(-1, keepdims=True)
            outs.append(w @ v[..., i] @ self.W["o"][i] + self.b["o"])
        return sum(outs)
