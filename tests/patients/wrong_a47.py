import numpy as np
def attn(q, k, v, mask=None, causal=True):
    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    tq, tk = s.shape[-2:]
    ok = np.tri(tq, tk, tk - tq, dtype=bool) if causal else np.ones((tq, tk), bool)
    if mask is not None:
        ok = mask | ok if causal else mask & ok
    s = np.where(ok, s, -1e30)
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) @ v
