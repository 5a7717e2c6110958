# npattn: heads=1 causal=yes
import numpy as np


class Causal:
    def __init__(self, d=6):
        r = np.random.default_rng(19)
        self.w_q, self.w_k, self.w_v = r.normal(size=(3, d, d)) * .4
        self.keep = None

    def __call__(self, x, lengths=None):
        t = x.shape[-2]
        if self.keep is None or self.keep.shape[-1] != t:
            self.keep = np.tri(t, dtype=bool)
            if lengths is not None:
                self.keep = self.keep & (np.arange(t) < np.asarray(lengths)[:, None, None])
        q, k, v = x @ self.w_q, x @ self.w_k, x @ self.w_v
        s = np.where(self.keep, q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]), -1e9)
        s = np.exp(s - s.max(-1, keepdims=True))
        return s / s.sum(-1, keepdims=True) @ v
