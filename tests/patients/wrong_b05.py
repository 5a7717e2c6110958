# npattn: heads=4 kv-heads=2 layout=bhtd
import numpy as np
def attn(q, k, v):
    out = np.empty(q.shape[:3] + v.shape[-1:])
    for h in range(q.shape[1]):
        g = h % k.shape[1]
        s = q[:, h] @ k[:, g].swapaxes(1, 2) / np.sqrt(q.shape[-1])
        e = np.exp(s - s.max(-1, keepdims=True))
        out[:, h] = e / e.sum(-1, keepdims=True) @ v[:, g]
    return out
