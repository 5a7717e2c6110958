import numpy as np


class DecoderAttention:
    """Causal multi-head attention for generation; keeps keys and values between calls.

    attn = DecoderAttention(); attn(x[:, :4]); attn(x[:, 4:5]); attn(x[:, 5:6]) ...
    reset() begins a new sequence.
    """

    def __init__(self, d_model=16, num_heads=2, seed=0):
        rng = np.random.default_rng(seed)
        self.h = num_heads
        self.d = d_model // num_heads
        self.wq, self.wk, self.wv, self.wo = rng.normal(size=(4, d_model, d_model)) / d_model ** 0.5
        self.reset()

    def reset(self):
        self.cache = None

    def _split(self, z):
        b, t, _ = z.shape
        return z.reshape(b, t, self.h, self.d).transpose(0, 2, 1, 3)

    def __call__(self, x):
        b, t, dm = x.shape
        q = self._split(x @ self.wq)
        k_new = self._split(x @ self.wk)
        v_new = self._split(x @ self.wv)
        if self.cache is None:
            k, v = k_new, v_new
        else:
            k = np.concatenate([self.cache[0], k_new], axis=2)
            v = np.concatenate([self.cache[1], v_new], axis=2)
        self.cache = (k_new, v_new)
        n = k.shape[2]
        s = q @ k.transpose(0, 1, 3, 2) / np.sqrt(self.d)
        keep = np.arange(n)[None, :] <= np.arange(n - t, n)[:, None]
        s = np.where(keep, s, -1e30)
        p = np.exp(s - s.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        return (p @ v).transpose(0, 2, 1, 3).reshape(b, t, dm) @ self.wo
