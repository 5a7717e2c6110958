import numpy as np


class LocalCausalAttention:
    """每个位置只看最近 window 个位置(含自己); 缓存保存全部键值及其绝对位置"""

    def __init__(self, d_model=16, n_heads=2, window=3):
        r = np.random.default_rng(5)
        self.n_heads, self.window = n_heads, window
        self.Wq, self.Wk, self.Wv, self.Wo = (r.standard_normal((d_model, d_model)) / d_model ** .5 for _ in range(4))

    def __call__(self, x, cache=None):
        b, t, c = x.shape
        split = lambda z: z.reshape(b, t, self.n_heads, -1).swapaxes(1, 2)
        q, k, v = split(x @ self.Wq), split(x @ self.Wk), split(x @ self.Wv)
        start = 0
        pos = np.arange(t)
        if cache is not None:
            k0, v0, pos0 = cache
            start = pos0[-1] + 1
            pos = np.concatenate([pos0, start + pos])
            k, v = np.concatenate([k0, k], 2), np.concatenate([v0, v], 2)
        gap = np.arange(start, start + t)[:, None] - pos[None, :]
        s = q @ k.swapaxes(2, 3) / np.sqrt(q.shape[-1])
        s = np.where((gap >= 0) & (gap < self.window), s, -np.inf)
        p = np.exp(s - s.max(-1, keepdims=True))
        y = (p @ v) / p.sum(-1, keepdims=True)
        y = y.swapaxes(1, 2).reshape(b, t, c) @ self.Wo
        n = self.window - 1                       # no later query reaches further back
        m = len(pos) - min(n, len(pos)) if n else len(pos) - 1
        return y, (k[:, :, m:], v[:, :, m:], pos[m:])
