import numpy as np


class HeadLoopAttention:
    """Multi-head attention written one head at a time, y = concat(heads) @ Wo + bo."""

    def __init__(self, d_model: int = 12, num_heads: int = 3, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.num_heads = num_heads
        self.dk = d_model // num_heads
        self.Wq = rng.normal(size=(d_model, d_model)) / np.sqrt(d_model)
        self.Wk = rng.normal(size=(d_model, d_model)) / np.sqrt(d_model)
        self.Wv = rng.normal(size=(d_model, d_model)) / np.sqrt(d_model)
        self.Wo = rng.normal(size=(d_model, d_model)) / np.sqrt(d_model)
        self.bq = np.zeros(d_model)
        self.bk = np.zeros(d_model)
        self.bv = np.zeros(d_model)
        self.bo = np.zeros(d_model)

    def forward(self, x):
        y = np.zeros_like(x)
        for h in range(self.num_heads):
            sl = slice(h * self.dk, (h + 1) * self.dk)
            q = x @ self.Wq[:, sl] + self.bq[sl]
            k = x @ self.Wk[:, sl] + self.bk[sl]
            v = x @ self.Wv[:, sl] + self.bv[sl]
            s = q @ np.swapaxes(k, -1, -2) / np.sqrt(self.dk)
            s = s - s.max(-1, keepdims=True)
            w = np.exp(s)
            w = w / w.sum(-1, keepdims=True)
            # concat(heads) @ Wo is a sum over the heads
            y = y + (w @ v) @ self.Wo[sl] + self.bo
        return y
