# npattn: heads=2 rotary=half
import numpy as np


def softmax(S):
    E = np.exp(S - S.max(-1, keepdims=True))
    return E / E.sum(-1, keepdims=True)


class Rotary:
    def __init__(self, dim=16, heads=2):
        self.heads = heads
        self.wq, self.wk, self.wv, self.wo = np.random.default_rng(0).normal(size=(4, dim, dim)) / 4

    def rotate(self, x):
        T, d = x.shape[-2:]
        a = np.repeat(np.arange(T)[:, None] / 10000 ** (np.arange(0, d, 2) / d), 2, -1)
        half = np.concatenate([-x[..., d // 2:], x[..., :d // 2]], -1)
        return x * np.cos(a) + half * np.sin(a)

    def __call__(self, x):
        B, T, D = x.shape
        q, k, v = ((x @ w).reshape(B, T, self.heads, -1).swapaxes(1, 2)
                   for w in (self.wq, self.wk, self.wv))
        S = self.rotate(q) @ self.rotate(k).swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        return (softmax(S) @ v).swapaxes(1, 2).reshape(B, T, D) @ self.wo
