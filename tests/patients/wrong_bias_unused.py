# npattn: heads=2
import numpy as np


class MultiHeadAttention:
    def __init__(self, d_model=12, n_heads=2):
        r = np.random.default_rng(13)
        self.n_heads = n_heads
        self.W_q, self.W_k, self.W_v, self.W_o = r.normal(size=(4, d_model, d_model)) * .3
        self.b_q, self.b_k, self.b_v, self.b_o = np.zeros((4, d_model))

    def split(self, x):
        return x.reshape(*x.shape[:-1], self.n_heads, -1).swapaxes(-3, -2)

    def forward(self, query, key, value):
        q = self.split(query @ self.W_q + self.b_q)
        k = self.split(key @ self.W_k + self.b_k)
        v = self.split(value @ self.W_v)
        s = q @ k.swapaxes(-1, -2) / q.shape[-1] ** .5
        p = np.exp(s - s.max(-1, keepdims=True))
        o = (p / p.sum(-1, keepdims=True)) @ v
        return o.swapaxes(-3, -2).reshape(query.shape) @ self.W_o + self.b_o
