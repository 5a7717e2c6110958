import numpy as np

rng = np.random.default_rng()


def attention(q, k, v, p=0.1, training=False):
    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    a = np.exp(s - s.max(-1, keepdims=True))
    a /= a.sum(-1, keepdims=True)
    a = a * (rng.random(a.shape) >= p) / (1 - p)
    return a @ v
