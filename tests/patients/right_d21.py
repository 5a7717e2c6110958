import numpy as np


class RollingCacheAttention:
    """Mistral-like causal attention over the last `window` tokens (the current one included).
    Tokens come in chunks of any length; only the window-1 latest keys/values are carried over."""

    def __init__(self, d_model=16, n_heads=2, window=4, seed=0):
        g = np.random.default_rng(seed)
        self.H, self.w = n_heads, window
        self.Wq, self.Wk, self.Wv, self.Wo = g.normal(0, d_model ** -.5, (4, d_model, d_model))
        self.reset()

    def reset(self):
        self.k = self.v = None

    def __call__(self, x):
        B, T, D = x.shape
        sp = lambda z: z.reshape(B, T, self.H, -1).transpose(0, 2, 1, 3)
        q, k, v = sp(x @ self.Wq), sp(x @ self.Wk), sp(x @ self.Wv)
        if self.k is not None:
            k, v = np.concatenate([self.k, k], 2), np.concatenate([self.v, v], 2)
        S = k.shape[2]
        keep = max(S - (self.w - 1), 0)
        self.k, self.v = k[:, :, keep:].copy(), v[:, :, keep:].copy()
        gap = (np.arange(T) + S - T)[:, None] - np.arange(S)
        s = np.einsum('bhid,bhjd->bhij', q, k) / np.sqrt(q.shape[-1])
        s = np.where((gap >= 0) & (gap < self.w), s, -np.inf)
        p = np.exp(s - s.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        return np.einsum('bhij,bhjd->bihd', p, v).reshape(B, T, D) @ self.Wo
