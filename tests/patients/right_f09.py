import numpy as np


class GroupedAttention:
    """Grouped-query attention without copying keys: the group is an axis of the queries."""

    def __init__(self, d_model: int, n_heads: int, n_kv: int | None = None, seed: int = 0):
        rng = np.random.default_rng(seed)
        n_kv = n_heads if n_kv is None else n_kv
        self.n_heads, self.n_kv, self.hd = n_heads, n_kv, d_model // n_heads
        s = d_model ** -0.5
        self.Wq = rng.normal(0, s, (d_model, n_heads * self.hd))
        self.Wk = rng.normal(0, s, (d_model, n_kv * self.hd))
        self.Wv = rng.normal(0, s, (d_model, n_kv * self.hd))
        self.Wo = rng.normal(0, s, (n_heads * self.hd, d_model))

    def __call__(self, x: np.ndarray, valid_len: np.ndarray | None = None) -> np.ndarray:
        B, T, _ = x.shape
        q = (x @ self.Wq).reshape(B, T, self.n_kv, self.n_heads // self.n_kv, self.hd)
        k = (x @ self.Wk).reshape(B, T, self.n_kv, self.hd)
        v = (x @ self.Wv).reshape(B, T, self.n_kv, self.hd)
        s = np.einsum('btkgd,bskd->bkgts', q, k) / self.hd ** 0.5
        if valid_len is not None:
            dead = np.arange(T)[None, :] >= np.asarray(valid_len)[:, None]
            s = np.where(dead[:, None, None, None, :], -1e9, s)
        s = np.exp(s - s.max(-1, keepdims=True))
        s /= s.sum(-1, keepdims=True)
        return np.einsum('bkgts,bskd->btkgd', s, v).reshape(B, T, -1) @ self.Wo
