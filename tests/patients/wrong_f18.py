import numpy as np


class LayerNorm:
    def __init__(self, d, eps=1e-5):
        self.gamma, self.beta, self.eps = np.ones(d), np.zeros(d), eps

    def __call__(self, x):
        mu = x.mean(-1, keepdims=True)
        var = ((x - mu) ** 2).mean(-1, keepdims=True)
        return ((x - mu) / np.sqrt(var + self.eps) + self.beta) * self.gamma


class EncoderLayer:
    """post-norm encoder layer, as in the original paper"""

    def __init__(self, d_model=16, n_heads=2, d_ff=32, seed=1):
        r = np.random.default_rng(seed)
        init = lambda *s: r.normal(0, s[0] ** -0.5, s)
        self.n_heads = n_heads
        self.W_q, self.W_k, self.W_v, self.W_o = (init(d_model, d_model) for _ in range(4))
        self.W1, self.b1 = init(d_model, d_ff), np.zeros(d_ff)
        self.W2, self.b2 = init(d_ff, d_model), np.zeros(d_model)
        self.norm1, self.norm2 = LayerNorm(d_model), LayerNorm(d_model)

    def attention(self, x):
        B, T, D = x.shape
        f = lambda w: (x @ w).reshape(B, T, self.n_heads, -1).swapaxes(1, 2)
        q, k, v = f(self.W_q), f(self.W_k), f(self.W_v)
        s = q @ k.swapaxes(-1, -2) / np.sqrt(D // self.n_heads)
        s = np.exp(s - s.max(-1, keepdims=True))
        s = s / s.sum(-1, keepdims=True)
        return (s @ v).swapaxes(1, 2).reshape(B, T, D) @ self.W_o

    def __call__(self, x):
        x = self.norm1(x + self.attention(x))
        h = np.maximum(0, x @ self.W1 + self.b1)
        return self.norm2(x + h @ self.W2 + self.b2)
