# npattn: mask=drop
import numpy as np


def layer_norm(x, g, b, eps=1e-5):
    m = x.mean(-1, keepdims=True)
    return (x - m) / np.sqrt(x.var(-1, keepdims=True) + eps) * g + b


class Encoder:
    def __init__(self, d_model, n_heads=2, d_ff=24, seed=0):
        r = np.random.default_rng(seed)
        self.h = n_heads
        self.p = {k: r.normal(size=(d_model, d_model)) / d_model**0.5 for k in ("wq", "wk", "wv", "wo")}
        self.p["w1"], self.p["b1"] = r.normal(size=(d_model, d_ff)), np.zeros(d_ff)
        self.p["w2"], self.p["b2"] = r.normal(size=(d_ff, d_model)), np.zeros(d_model)
        self.p["g1"], self.p["be1"] = np.ones(d_model), np.zeros(d_model)
        self.p["g2"], self.p["be2"] = np.ones(d_model), np.zeros(d_model)

    def attn(self, x, pad=None):
        B, T, D = x.shape
        q, k, v = ((x @ self.p[w]).reshape(B, T, self.h, -1).swapaxes(1, 2) for w in ("wq", "wk", "wv"))
        s = q @ k.swapaxes(-1, -2) / np.sqrt(D / self.h)
        if pad is not None:
            s = np.where(pad[:, None, :, None], -1e9, s)
        w = np.exp(s - s.max(-1, keepdims=True))
        w = w / w.sum(-1, keepdims=True)
        return (w @ v).swapaxes(1, 2).reshape(B, T, D) @ self.p["wo"]

    def forward(self, x, pad_mask=None):
        p = self.p
        x = x + self.attn(layer_norm(x, p["g1"], p["be1"]), pad_mask)
        h = np.maximum(layer_norm(x, p["g2"], p["be2"]) @ p["w1"] + p["b1"], 0)
        return x + h @ p["w2"] + p["b2"]
