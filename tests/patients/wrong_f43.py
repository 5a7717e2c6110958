import numpy as np


class SelfAttentionLayer:
    """x -> softmax(q k^T / sqrt d) v W_o ; call forward, then backward(grad) -> grad of x.
    Gradients of the parameters land in self.grads."""

    def __init__(self, dim=8, seed=0):
        rng = np.random.default_rng(seed)
        self.params = {n: rng.normal(scale=dim ** -0.5, size=(dim, dim)) for n in ("Wq", "Wk", "Wv", "Wo")}
        self.grads = {}

    def forward(self, x):
        P = self.params
        q, k, v = x @ P["Wq"], x @ P["Wk"], x @ P["Wv"]
        s = q @ k.transpose(0, 2, 1) / np.sqrt(x.shape[-1])
        s = np.exp(s - s.max(-1, keepdims=True))
        a = s / s.sum(-1, keepdims=True)
        c = a @ v
        self.saved = x, q, k, v, a, c
        return c @ P["Wo"]

    def backward(self, grad):
        P = self.params
        x, q, k, v, a, c = self.saved
        t = lambda z: z.transpose(0, 2, 1)
        self.grads["Wo"] = (t(c) @ grad).sum(0)
        dc = grad @ P["Wo"].T
        da = dc @ t(v)
        dv = t(a) @ dc
        ds = a * (da - np.sum(da * a, axis=-1, keepdims=True)) / np.sqrt(x.shape[-1])
        dq, dk = ds @ k, t(ds) @ q
        self.grads["Wq"], self.grads["Wk"], self.grads["Wv"] = ((t(x) @ d).sum(0) for d in (dq, dk, dv))
        return dq @ P["Wq"].T + dk @ P["Wk"].T
