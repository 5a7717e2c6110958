import numpy as np
class MultiHeadSelfAttention:
    def __init__(self, d_model=16, num_heads=4, seed=0):
        g = np.random.default_rng(seed)
        self.d, self.h = d_model // num_heads, num_heads
        self.Wq = g.normal(size=(num_heads, d_model, self.d)); self.Wk = g.normal(size=(num_heads, d_model, self.d))
        self.Wv = g.normal(size=(num_heads, d_model, self.d)); self.Wo = g.normal(size=(d_model, d_model))
    def __call__(self, x):
        outs = []
        for i in range(self.h):
            q, k, v = x @ self.Wq[i], x @ self.Wk[i], x @ self.Wv[0]
            s = q @ k.swapaxes(-1, -2) / self.d ** 0.5
            w = np.exp(s - s.max(-1, keepdims=True)); w /= w.sum(-1, keepdims=True)
            outs.append(w @ v)
        return np.concatenate(outs, -1) @ self.Wo
