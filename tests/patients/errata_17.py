# npattn: heads=2 rotary=half causal=yes
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
        a = np.arange(T)[:, None] / 10000 ** (np.arange(0, d, 2) / d)
        a = np.concatenate([a, a], -1)
        half = np.concatenate([-x[..., d // 2:], x[..., :d // 2]], -1)
        return x * np.cos(a) + half * np.sin(a)

    def __call__(self, x, past=None):
        B, T, D = x.shape
        q, k, v = ((x @ w).reshape(B, T, self.heads, -1).swapaxes(1, 2)
                   for w in (self.wq, self.wk, self.wv))
        q, k = self.rotate(q), self.rotate(k)
        if past is not None:
            k, v = np.concatenate([past[0], k], -2), np.concatenate([past[1], v], -2)
        S = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        S = np.where(np.tri(T, k.shape[-2], k.shape[-2] - T, dtype=bool), S, -np.inf)
        return (softmax(S) @ v).swapaxes(1, 2).reshape(B, T, D) @ self.wo, (k, v)
