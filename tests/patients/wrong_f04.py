import numpy as np

def softmax(z):
    z = z - z.max(-1, keepdims=True)
    e = np.exp(z)
    return e / e.sum(-1, keepdims=True)

class MultiHeadAttention:
    def __init__(self, d_model, num_heads, seed=0):
        assert d_model % num_heads == 0
        rs = np.random.RandomState(seed)
        self.h = num_heads
        self.dh = d_model // num_heads
        lim = np.sqrt(6 / (2 * d_model))
        self.Wq, self.Wk, self.Wv, self.Wo = (rs.uniform(-lim, lim, (d_model, d_model)) for _ in range(4))

    def _split(self, x):
        n, t, _ = x.shape
        return x.reshape(n, t, self.h, self.dh).transpose(0, 2, 1, 3)

    def __call__(self, q, k, v, mask=None):
        n, tq, dm = q.shape
        Q, K, V = self._split(q @ self.Wq), self._split(k @ self.Wk), self._split(v @ self.Wv)
        s = Q @ K.transpose(0, 1, 3, 2) / np.sqrt(self.dh)
        if mask is not None:                       # (n, tk) or (n, 1, tq, tk)
            if mask.ndim == 2:
                mask = mask[:, None, None, :]
            s = np.where(mask, s, -1e30)
        ctx = softmax(s) @ V
        return ctx.reshape(n, tq, dm) @ self.Wo
