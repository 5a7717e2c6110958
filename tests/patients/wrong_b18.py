import numpy as np
class Attention:
    def __init__(self, dropout=0.2):
        self.p = dropout
        self.rng = np.random.default_rng(0)
    def __call__(self, q, k, v, training=False):
        s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        a = np.exp(s - s.max(-1, keepdims=True))
        a /= a.sum(-1, keepdims=True)
        if training:
            a = a * (self.rng.random(a.shape) > self.p) / (1 - self.p)
        else:
            a = a * (1 - self.p)
        return a @ v
