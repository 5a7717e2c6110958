# npattn: causal=yes
import numpy as np
def causal_attention(q, k, v):
    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    m = np.tril(np.ones(s.shape[-2:]), k=-1)
    s = np.where(m > 0, s, -1e9)
    e = np.exp(s - s.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)) @ v
