# npattn: layout=bhtd causal=yes
import numpy as np


def slopes(h):
    return 2.0 ** (-8.0 * np.arange(1, h + 1) / h)


def alibi(q, k, v):
    b, h, t, d = q.shape
    i = np.arange(t)
    distance = i[:, None] - i[None, :]
    s = q @ np.swapaxes(k, 2, 3) / np.sqrt(d)
    s = s + slopes(h)[:, None, None] * distance
    s = np.where(distance >= 0, s, -np.inf)
    p = np.exp(s - s.max(-1, keepdims=True))
    return (p / p.sum(-1, keepdims=True)) @ v
