# npattn: layout=bhtd causal=yes
import numpy as np


def windowed(q, k, v, window=4):
    """Causal sliding window: query t sees keys max(0, t-window+1) .. t. Plain slices, no mask."""
    B, H, T, D = q.shape
    out = np.empty((B, H, T, v.shape[-1]), dtype=np.result_type(q, k, v))
    for t in range(T):
        lo = max(0, t - window + 1)
        s = (q[:, :, t:t + 1] * k[:, :, lo:t + 1]).sum(-1) / np.sqrt(D)
        e = np.exp(s - s.max(-1, keepdims=True))
        p = e / e.sum(-1, keepdims=True)
        out[:, :, t] = (p[..., None] * v[:, :, lo:t + 1]).sum(-2)
    return out
