import numpy as np


def flash(q, k, v, block=4):
    scale = 1 / np.sqrt(q.shape[-1])
    m = np.full(q.shape[:-1] + (1,), -np.inf)
    norm = np.zeros_like(m)
    out = np.zeros(q.shape[:-1] + v.shape[-1:])
    for j in range(0, k.shape[-2], block):
        s = scale * q @ k[..., j:j + block, :].swapaxes(-1, -2)
        new = np.maximum(m, s.max(-1, keepdims=True))
        p = np.exp(s - new)
        norm = np.exp(m - new) * norm + p.sum(-1, keepdims=True)
        out = out + p @ v[..., j:j + block, :]
        m = new
    return out / norm
