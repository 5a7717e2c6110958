import numpy as np
def tiled(q, k, v, block_size=4):
    n = max(k.shape[-2] // block_size, 1)
    num, den, top = 0.0, 0.0, -np.inf
    for i in range(n):
        kk = k[..., i * block_size:(i + 1) * block_size, :]
        vv = v[..., i * block_size:(i + 1) * block_size, :]
        s = q @ kk.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        t = np.maximum(top, s.max(-1, keepdims=True))
        e = np.exp(s - t)
        num = num * np.exp(top - t) + e @ vv
        den = den * np.exp(top - t) + e.sum(-1, keepdims=True)
        top = t
    return num / den
