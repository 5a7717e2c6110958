import numpy as np


class Attention:
    """dropout on the output; weights kept for plotting"""

    def __init__(self, d_model=12, n_heads=3, dropout=0.1, seed=0):
        r = np.random.default_rng(seed)
        self.h, self.p, self.rng, self.last = n_heads, dropout, r, None
        self.Wq, self.Wk, self.Wv, self.Wo = (r.normal(0, d_model**-0.5, (d_model, d_model)) for _ in range(4))

    def __call__(self, x, mask=None, training=False):
        B, T, D = x.shape
        q, k, v = ((x @ W).reshape(B, T, self.h, -1).swapaxes(1, 2) for W in (self.Wq, self.Wk, self.Wv))
        s = q @ k.swapaxes(-1, -2) / np.sqrt(D // self.h)
        if mask is not None:
            s = s + (1.0 - mask[:, None, None, :].astype(s.dtype)) * -1e9
        s = np.exp(s - s.max(-1, keepdims=True))
        self.last = s / s.sum(-1, keepdims=True)
        y = (self.last @ v).swapaxes(1, 2).reshape(B, T, D) @ self.Wo
        if training and self.p:
            keep = self.rng.random(y.shape) >= self.p
            y = y * keep / (1 - self.p)
        return y
