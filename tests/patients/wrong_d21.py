import numpy as np


class SelfAttn(object):
    # 多头自注意力, x: (B, T, D)
    def __init__(self, d_model=24, num_heads=3, rng=None):
        rng = rng or np.random.RandomState(1)
        s = 1. / np.sqrt(d_model)
        self.num_heads = num_heads
        self.Wqkv = rng.randn(d_model, 3 * d_model) * s   # 合并的投影矩阵
        self.Wo = rng.randn(d_model, d_model) * s

    def __call__(self, x):
        B, T, D = x.shape
        H = self.num_heads
        q, k, v = np.split(x @ self.Wqkv, 3, axis=-1)
        q = q.reshape(B, T, H, D // H)
        k = k.reshape(B, T, H, D // H)
        v = v.reshape(B, T, H, D // H)
        s = np.einsum('bqhd,bkhd->bqkh', q, k) / (D // H) ** 0.5
        s = np.exp(s - s.max(axis=-1, keepdims=True))
        w = s / s.sum(axis=-1, keepdims=True)          # 归一化
        o = np.einsum('bqkh,bkhd->bqhd', w, v)
        return o.reshape(B, T, D) @ self.Wo
