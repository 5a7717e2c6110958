# npattn: corner=lower
import numpy as np
def attention(q, k, v, causal=False):
    s = q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5
    if causal:
        i = np.arange(q.shape[-2])[:, None]
        j = np.arange(k.shape[-2])
        s = np.where(j <= i, s, -np.inf)
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) @ v
