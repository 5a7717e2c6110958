import numpy as np


class DropAttention:
    """attention with dropout on the weights; call .eval() for inference"""

    def __init__(self, p=0.5, seed=0):
        self.p = p
        self.training = True
        self.rng = np.random.default_rng(seed)

    def train(self, mode=True):
        self.training = mode
        return self

    def eval(self):
        return self.train(False)

    def __call__(self, q, k, v):
        s = np.einsum("...qd,...kd->...qk", q, k) / np.sqrt(q.shape[-1])
        w = np.exp(s - s.max(-1, keepdims=True))
        w /= w.sum(-1, keepdims=True)
        if self.training and self.p > 0:
            w = w * (self.rng.random(w.shape) >= self.p)
        return np.einsum("...qk,...kd->...qd", w, v)
