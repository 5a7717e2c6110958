import numpy as np
def attention(q, k, v, lengths=None):
    q, k, v = np.asarray(q), np.asarray(k), np.asarray(v)
    out = np.zeros((*q.shape[:2], v.shape[-1]), v.dtype)
    for b in range(len(q)):
        n = k.shape[1] if lengths is None else int(lengths[b])
        for i in range(q.shape[1]):
            if n == 0:
                continue
            s = k[b, :n] @ q[b, i] / q.shape[-1] ** 0.5
            w = np.exp(s - s.max())
            out[b, i] = w @ v[b, :n] / w.sum()
    return out
