import numpy as np


class CachedAttention:
    def __init__(self, d=16, heads=2):
        rng = np.random.default_rng(11)
        self.h = heads
        self.wq, self.wk, self.wv, self.wo = rng.normal(size=(4, d, d)) * d ** -0.5

    def __call__(self, x, cache={}):
        """x (B, T, d). Hand in the same dict to go on with a sequence."""
        B, T, d = x.shape
        q, k, v = ((x @ w).reshape(B, T, self.h, d // self.h) for w in (self.wq, self.wk, self.wv))
        if 'k' in cache and cache['k'].shape[0] == B:
            k = np.concatenate((cache['k'], k), 1)
            v = np.concatenate((cache['v'], v), 1)
        cache['k'], cache['v'] = k, v
        S = k.shape[1]
        s = np.einsum('bthd,bshd->bhts', q, k) / np.sqrt(d // self.h)
        s[..., ~np.tri(T, S, S - T, dtype=bool)] = -np.inf
        s = np.exp(s - s.max(-1, keepdims=True))
        s /= s.sum(-1, keepdims=True)
        return np.einsum('bhts,bshd->bthd', s, v).reshape(B, T, d) @ self.wo
