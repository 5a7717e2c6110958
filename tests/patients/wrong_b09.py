# npattn: heads=1 causal=yes
import numpy as np
class Gen:
    pass
class step:
    def __init__(self, d=6):
        r = np.random.default_rng(0)
        self.Wq, self.Wk, self.Wv = r.normal(size=(3, d, d))
    def forward(self, x, cache={"k": [], "v": []}):
        q, k, v = x @ self.Wq, x @ self.Wk, x @ self.Wv
        cache["k"].append(k)
        cache["v"].append(v)
        K, V = np.concatenate(cache["k"], -2), np.concatenate(cache["v"], -2)
        s = q @ K.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        n = K.shape[-2] - x.shape[-2]
        s = np.where(np.tri(s.shape[-2], s.shape[-1], n, dtype=bool), s, -np.inf)
        e = np.exp(s - s.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True) @ V
