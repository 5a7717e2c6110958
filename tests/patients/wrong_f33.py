import numpy as np


def layer_norm(x, g, b, eps=1e-5):
    m = x.mean(-1, keepdims=True)
    s = np.sqrt(x.var(-1, keepdims=True) + eps)
    return g * (x - m) / s + b


class encoder_block:
    def __init__(self, d=16, heads=2, hidden=32):
        r = np.random.RandomState(7)
        self.heads = heads
        self.Wq, self.Wk, self.Wv, self.Wo = [r.randn(d, d) * d ** -.5 for _ in range(4)]
        self.W1, self.b1 = r.randn(d, hidden) * d ** -.5, np.zeros(hidden)
        self.W2, self.b2 = r.randn(hidden, d) * hidden ** -.5, np.zeros(d)
        self.g1, self.be1, self.g2, self.be2 = np.ones(d), np.zeros(d), np.ones(d), np.zeros(d)

    def mha(self, x):
        B, T, d = x.shape
        q, k, v = [(x @ w).reshape(B, T, self.heads, -1).transpose(0, 2, 1, 3) for w in (self.Wq, self.Wk, self.Wv)]
        a = q @ k.transpose(0, 1, 3, 2) * (d / self.heads) ** -0.5
        a = np.exp(a - a.max(-1, keepdims=True)); a /= a.sum(-1, keepdims=True)
        return (a @ v).transpose(0, 2, 1, 3).reshape(B, T, d) @ self.Wo

    def __call__(self, x):
        y = layer_norm(x + self.mha(x), self.g1, self.be1)
        ffn = np.maximum(y @ self.W1 + self.b1, 0) @ self.W2 + self.b2
        return layer_norm(x + ffn, self.g2, self.be2)
