import numpy as np


class StepAttention:
    """One token at a time; `reset` starts a new sequence."""

    def __init__(self, d_model=8, n_heads=2, max_len=64, seed=3):
        r = np.random.default_rng(seed)
        self.h, self.n = n_heads, max_len
        self.Wq, self.Wk, self.Wv, self.Wo = (r.normal(size=(d_model, d_model)) / d_model**0.5 for _ in range(4))
        self.reset()

    def reset(self):
        self.keys, self.values, self.pos = [], [], 0

    def step(self, x):
        b, d = x.shape
        q, k, v = ((x @ w).reshape(b, self.h, 1, -1) for w in (self.Wq, self.Wk, self.Wv))
        s = [(q * key).sum(-1) / np.sqrt(q.shape[-1]) for key in self.keys]
        self.keys.append(k)
        self.values.append(v)
        s.append((q * k).sum(-1) / np.sqrt(d))
        s = np.stack(s, -1)
        w = np.exp(s - s.max(-1, keepdims=True))
        w = w / w.sum(-1, keepdims=True)
        o = sum(w[..., i : i + 1] * val for i, val in enumerate(self.values))
        return o.reshape(b, d) @ self.Wo

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = ((x @ w).reshape(B, T, self.h, -1).swapaxes(1, 2) for w in (self.Wq, self.Wk, self.Wv))
        s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        s = np.where(np.tril(np.ones((T, T), bool)), s, -np.inf)
        w = np.exp(s - s.max(-1, keepdims=True))
        w = w / w.sum(-1, keepdims=True)
        return (w @ v).swapaxes(1, 2).reshape(B, T, D) @ self.Wo
