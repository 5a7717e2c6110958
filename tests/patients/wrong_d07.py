import numpy as np


class AttentionLayer:
    """Single head attention layer, numpy. mode is 'train' or 'test'.

    In training, inverted dropout on the attention weights: each is kept with probability
    1 - p_drop, so that the expected output equals the output at test time.
    """

    def __init__(self, d_model=12, p_drop=0.0, seed=3):
        self.rng = np.random.RandomState(seed)
        self.p_drop = p_drop
        self.Wq = self.rng.randn(d_model, d_model) / np.sqrt(d_model)
        self.Wk = self.rng.randn(d_model, d_model) / np.sqrt(d_model)
        self.Wv = self.rng.randn(d_model, d_model) / np.sqrt(d_model)
        self.mode = 'train'

    def forward(self, x):
        q, k, v = x.dot(self.Wq), x.dot(self.Wk), x.dot(self.Wv)
        s = np.matmul(q, k.transpose(0, 2, 1)) / np.sqrt(x.shape[-1])
        s -= s.max(axis=2, keepdims=True)
        a = np.exp(s)
        a /= a.sum(axis=2, keepdims=True)
        if self.mode == 'train' and self.p_drop > 0:
            keep = self.rng.rand(*a.shape) >= self.p_drop
            a = a * keep
        return np.matmul(a, v)
