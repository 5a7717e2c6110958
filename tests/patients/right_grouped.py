# npattn: heads=4
import numpy as np


class GroupedQueryAttention:
    def __init__(self, d=16, heads=4, groups=2):
        r = np.random.default_rng(43)
        self.heads, self.groups, self.size = heads, groups, d // heads
        self.q_proj = r.normal(size=(d, d)) / d ** .5
        self.k_proj = r.normal(size=(d, groups * self.size)) / d ** .5
        self.v_proj = r.normal(size=(d, groups * self.size)) / d ** .5
        self.o_proj = r.normal(size=(d, d)) / d ** .5

    def __call__(self, x):
        B, T, D = x.shape
        q = (x @ self.q_proj).reshape(B, T, self.groups, -1, self.size)
        k = (x @ self.k_proj).reshape(B, T, self.groups, self.size)
        v = (x @ self.v_proj).reshape(B, T, self.groups, self.size)
        s = np.einsum("bqgrd,bkgd->bgrqk", q, k) / np.sqrt(self.size)
        p = np.exp(s - s.max(-1, keepdims=True))
        p = p / p.sum(-1, keepdims=True)
        return np.einsum("bgrqk,bkgd->bqgrd", p, v).reshape(B, T, D) @ self.o_proj
