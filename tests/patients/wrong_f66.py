import numpy as np


class Attention:
    """call .train() or .eval() first"""

    def __init__(self, d_model, n_heads=2, p=0.3, seed=0):
        self.rng = np.random.default_rng(seed)
        self.H, self.p, self.training = n_heads, p, False
        self.Wqkv = self.rng.normal(size=(d_model, 3 * d_model)) / d_model**0.5
        self.Wo = self.rng.normal(size=(d_model, d_model)) / d_model**0.5

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = (t.reshape(B, T, self.H, -1).swapaxes(1, 2) for t in np.split(x @ self.Wqkv, 3, -1))
        s = q @ k.swapaxes(-1, -2) / (D // self.H) ** 0.5
        a = np.exp(s - s.max(-1, keepdims=True))
        a /= a.sum(-1, keepdims=True)
        if self.training:
            a = a * (self.rng.random(a.shape) > self.p)
            a = a / a.sum(-1, keepdims=True)
        return (a @ v).swapaxes(1, 2).reshape(B, T, D) @ self.Wo
