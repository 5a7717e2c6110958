# npattn: layout=td causal=yes
import numpy as np


def causal(q, k, v):
    n = len(q)
    scores = q @ k.T / np.sqrt(q.shape[1])
    scores[np.tril_indices(n, -1)] = -np.inf
    scores -= scores.max(axis=1, keepdims=True)
    w = np.exp(scores)
    return w / w.sum(axis=1, keepdims=True) @ v
