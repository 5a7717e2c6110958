# npattn: heads=4
import numpy as np


class FusedAttention:
    def __init__(self, d=16, h=4):
        r = np.random.default_rng(37)
        self.h = h
        self.qkv_weight = r.normal(size=(3 * d, d)) / d ** .5
        self.qkv_bias = r.normal(size=3 * d)
        self.proj_weight = r.normal(size=(d, d)) / d ** .5
        self.proj_bias = r.normal(size=d)

    def forward(self, x):
        B, N, C = x.shape
        qkv = x @ self.qkv_weight.T + self.qkv_bias
        q, k, v = qkv.reshape(B, N, 3, self.h, C // self.h).transpose(2, 0, 3, 1, 4)
        a = q @ k.swapaxes(-2, -1) * (C // self.h) ** -0.5
        a = np.exp(a - a.max(-1, keepdims=True))
        a = a / a.sum(-1, keepdims=True)
        return (a @ v).swapaxes(1, 2).reshape(B, N, C) @ self.proj_weight.T + self.proj_bias
