import numpy as np


def attention(q, k, v):
    s = q @ v.T / np.sqrt(v.shape[1])
    p = np.exp(s - s.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True) @ k
