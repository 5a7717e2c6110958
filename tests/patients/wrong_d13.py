import numpy as np


class EncoderLayer:
    """Post-norm encoder layer (Vaswani et al. 2017) in numpy; x has shape (B, T, D)."""

    def __init__(self, d_model=16, n_heads=2, d_ff=32, seed=0):
        r = np.random.default_rng(seed)
        f = lambda i, o: r.normal(0, i ** -0.5, (i, o))
        self.h, self.dk = n_heads, d_model // n_heads
        self.Wq, self.Wk, self.Wv, self.Wo = (f(d_model, d_model) for _ in range(4))
        self.W1, self.b1 = f(d_model, d_ff), np.zeros(d_ff)
        self.W2, self.b2 = f(d_ff, d_model), np.zeros(d_model)
        self.g1, self.be1 = np.ones(d_model), np.zeros(d_model)
        self.g2, self.be2 = np.ones(d_model), np.zeros(d_model)

    @staticmethod
    def layer_norm(x, g, b, eps=1e-5):
        mu = x.mean(axis=1, keepdims=True)
        var = x.var(axis=1, keepdims=True)
        return g * (x - mu) / np.sqrt(var + eps) + b

    def attend(self, x):
        B, T, D = x.shape
        sp = lambda z: z.reshape(B, T, self.h, self.dk).transpose(0, 2, 1, 3)
        q, k, v = sp(x @ self.Wq), sp(x @ self.Wk), sp(x @ self.Wv)
        s = q @ k.swapaxes(-1, -2) / np.sqrt(self.dk)
        s = np.exp(s - s.max(-1, keepdims=True))
        s /= s.sum(-1, keepdims=True)
        return (s @ v).transpose(0, 2, 1, 3).reshape(B, T, D) @ self.Wo

    def forward(self, x):
        x = self.layer_norm(x + self.attend(x), self.g1, self.be1)
        hid = np.maximum(0, x @ self.W1 + self.b1)
        return self.layer_norm(x + hid @ self.W2 + self.b2, self.g2, self.be2)

    __call__ = forward
