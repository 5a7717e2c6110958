# npattn: mask=keep
import numpy as np


class MultiHead:
    """x: (B, T, D); mask: (B, T), 1 for words and 0 for padding. Padding is never attended to."""

    def __init__(self, d=16, h=4, seed=7):
        g = np.random.default_rng(seed)
        self.h = h
        self.W = {c: g.standard_normal((d, d)) / d ** .5 for c in "qkvo"}

    def __call__(self, x, mask=None):
        B, T, D = x.shape
        dk = D // self.h
        q, k, v = [(x @ self.W[c]).reshape(B, T, self.h, dk).swapaxes(1, 2) for c in "qkv"]
        s = np.einsum('bhid,bhjd->bhij', q, k) / dk ** .5
        if mask is not None:
            m = np.asarray(mask).astype(bool)
            s = np.where(m[:, None, :, None], s, -1e9)
        s -= s.max(-1, keepdims=True)
        a = np.exp(s)
        a /= a.sum(-1, keepdims=True)
        y = np.einsum('bhij,bhjd->bihd', a, v).reshape(B, T, D)
        return y @ self.W["o"]
