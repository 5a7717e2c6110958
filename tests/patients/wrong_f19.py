# npattn: mask=keep
import numpy as np


class SelfAttention(object):
    def __init__(self, dim, rng=None):
        rng = rng or np.random.RandomState(42)
        self.wq = rng.randn(dim, dim) / np.sqrt(dim)
        self.wk = rng.randn(dim, dim) / np.sqrt(dim)
        self.wv = rng.randn(dim, dim) / np.sqrt(dim)
        self.mask = None
        self.weights = None

    def set_mask(self, mask):
        # [batch, time] 1 for tokens, 0 for padding
        self.mask = np.asarray(mask, dtype=bool)

    def forward(self, x, mask=None):
        if mask is not None:
            self.set_mask(mask)
        q, k, v = x.dot(self.wq), x.dot(self.wk), x.dot(self.wv)
        scores = np.einsum('btd,bsd->bts', q, k) / np.sqrt(x.shape[-1])
        if self.mask is not None:
            scores = np.where(self.mask[:, None, :], scores, -1e9)
        scores -= scores.max(axis=2, keepdims=True)
        p = np.exp(scores)
        self.weights = p / p.sum(axis=2, keepdims=True)
        return np.einsum('bts,bsd->btd', self.weights, v)

    __call__ = forward
