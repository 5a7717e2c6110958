import numpy as np


def flash(q, k, v, block=4):
    scale = 1 / np.sqrt(q.shape[-1])
    m = np.full(q.shape[:-1] + (1,), -np.inf)
    norm = np.zeros_like(m)
    out = np.zeros(q.shape[:-1] + v.shape[-1:])
    for j in range(max(1, k.shape[-2] // block)):
        s = scale * q @ k[..., j * block:(j + 1) * block, :].swapaxes(-1, -2)
        new = np.maximum(m, s.max(-1, keepdims=True))
        p, old = np.exp(s - new), np.exp(m - new)
        norm = old * norm + p.sum(-1, keepdims=True)
        out = old * out + p @ v[..., j * block:(j + 1) * block, :]
        m = new
    return out / norm
