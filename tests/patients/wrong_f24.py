import numpy as np


class IncrementalAttention:
    """Causal self-attention that keeps its keys and values between `step` calls."""

    def __init__(self, d_model=16, n_heads=2, seed=0):
        rng = np.random.default_rng(seed)
        self.n_heads = n_heads
        self.Wqkv = rng.normal(size=(d_model, 3 * d_model)) / np.sqrt(d_model)
        self.Wo = rng.normal(size=(d_model, d_model)) / np.sqrt(d_model)

    def forward(self, x, kv_cache=None):
        b, t, c = x.shape
        q, k, v = np.split(x @ self.Wqkv, 3, axis=-1)
        q, k, v = (a.reshape(b, t, self.n_heads, -1).transpose(0, 2, 1, 3) for a in (q, k, v))
        if kv_cache is not None:
            k = np.concatenate([kv_cache[0], k], axis=2)
            v = np.concatenate([v, kv_cache[1]], axis=2)
        s = k.shape[2]
        att = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
        att = np.where(np.tri(t, s, s - t, dtype=bool), att, -np.inf)
        att = np.exp(att - att.max(-1, keepdims=True))
        att /= att.sum(-1, keepdims=True)
        out = (att @ v).transpose(0, 2, 1, 3).reshape(b, t, c) @ self.Wo
        return out, (k, v)

    __call__ = forward
