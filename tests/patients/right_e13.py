# npattn: heads=2 width=6
import numpy as np


class SelfAttention:
    """Layer with state: forward, then backward; gradients in self.grads."""

    def __init__(self, width=6, heads=2, rng=np.random.default_rng(1)):
        self.h = heads
        self.params = {"Wqkv": rng.normal(size=(width, 3 * width)) / width ** 0.5, "bqkv": np.zeros(3 * width),
                       "Wo": rng.normal(size=(width, width)) / width ** 0.5, "bo": np.zeros(width)}
        self.grads = {}

    def forward(self, x):
        p = self.params
        B, T, D = x.shape
        z = (x @ p["Wqkv"] + p["bqkv"]).reshape(B, T, 3, self.h, D // self.h)
        q, k, v = z.transpose(2, 0, 3, 1, 4)
        s = q @ k.swapaxes(2, 3) / np.sqrt(D // self.h)
        a = np.exp(s - s.max(3, keepdims=True))
        a /= a.sum(3, keepdims=True)
        y = (a @ v).transpose(0, 2, 1, 3).reshape(B, T, D)
        self.cache = x, q, k, v, a, y
        return y @ p["Wo"] + p["bo"]

    def backward(self, dout):
        x, q, k, v, a, y = self.cache
        B, T, D = x.shape
        self.grads["Wo"] = np.einsum("bti,btj->ij", y, dout)
        self.grads["bo"] = np.einsum("btj->j", dout)
        dy = (dout @ self.params["Wo"].T).reshape(B, T, self.h, D // self.h).transpose(0, 2, 1, 3)
        da = dy @ v.swapaxes(2, 3)
        # sum(a * da) of a row is also dy . (a v)
        delta = np.einsum("bhtd,bhtd->bht", dy, a @ v)[..., None]
        ds = a * (da - delta) / np.sqrt(D // self.h)
        dz = np.stack([ds @ k, ds.swapaxes(2, 3) @ q, a.swapaxes(2, 3) @ dy])
        dz = dz.transpose(1, 3, 0, 2, 4).reshape(B, T, 3 * D)
        self.grads["Wqkv"] = np.einsum("bti,btj->ij", x, dz)
        self.grads["bqkv"] = dz.sum((0, 1))
        return dz @ self.params["Wqkv"].T
