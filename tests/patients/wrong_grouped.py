# npattn: heads=4
import numpy as np


class GQA:
    """4 query heads share 2 key/value heads."""

    def __init__(self, d=16, heads=4, kv_heads=2):
        r = np.random.default_rng(11)
        self.heads, self.kv_heads, dh = heads, kv_heads, d // heads
        self.q_proj = r.normal(size=(d, d)) / d ** .5
        self.k_proj = r.normal(size=(d, kv_heads * dh)) / d ** .5
        self.v_proj = r.normal(size=(d, kv_heads * dh)) / d ** .5
        self.o_proj = r.normal(size=(d, d)) / d ** .5

    def __call__(self, x):
        B, T, D = x.shape
        q = (x @ self.q_proj).reshape(B, T, self.heads, -1).transpose(0, 2, 1, 3)
        k = (x @ self.k_proj).reshape(B, T, self.kv_heads, -1).transpose(0, 2, 1, 3)
        v = (x @ self.v_proj).reshape(B, T, self.kv_heads, -1).transpose(0, 2, 1, 3)
        times = self.heads // self.kv_heads
        k, v = np.tile(k, (1, times, 1, 1)), np.tile(v, (1, times, 1, 1))
        s = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
        p = np.exp(s - s.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        return (p @ v).transpose(0, 2, 1, 3).reshape(B, T, D) @ self.o_proj
