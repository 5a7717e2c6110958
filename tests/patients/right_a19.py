import numpy as np
def attention(q, k, v, mask=None):
    qs = q * (1.4426950408889634 / np.sqrt(q.shape[-1]))
    s = qs @ np.swapaxes(k, -1, -2)
    if mask is not None:
        s = np.where(mask.astype(bool), s, -np.inf)
    m = s.max(-1, keepdims=True)
    m = np.where(np.isneginf(m), 0, m)
    e = np.exp2(s - m)
    return np.divide(e @ v, e.sum(-1, keepdims=True), where=e.sum(-1, keepdims=True) > 0, out=np.zeros(np.broadcast_shapes((e @ v).shape)))
