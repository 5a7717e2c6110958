import numpy as np


def online_attention(q, k, v):
    """One key at a time (Milakov & Gimelshein); q (Tq,d), k (Tk,d), v (Tk,dv).
    The running output is kept NORMALISED all the time."""
    out = np.zeros((q.shape[0], v.shape[1]))
    lse = np.full(q.shape[0], -np.inf)
    for kj, vj in zip(k, v):
        s = q @ kj / np.sqrt(q.shape[1])
        new = np.logaddexp(lse, s)
        w = np.exp(s - new)[:, None]
        out += w * (vj - out)
        lse = new
    return out
