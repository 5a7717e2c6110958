# npattn: layout=btd
import numpy as np

BLOCK = 4


def flash(q, k, v):
    """Online-softmax attention, block by block over the keys."""
    scale = 1.0 / np.sqrt(q.shape[-1])
    m = np.full(q.shape[:-1] + (1,), -np.inf)
    l = np.zeros(q.shape[:-1] + (1,))
    o = np.zeros(q.shape[:-1] + (v.shape[-1],))
    for j in range(max(1, k.shape[-2] // BLOCK)):
        kj = k[..., j * BLOCK:(j + 1) * BLOCK, :]
        vj = v[..., j * BLOCK:(j + 1) * BLOCK, :]
        s = scale * q @ kj.swapaxes(-1, -2)
        m_new = np.maximum(m, s.max(-1, keepdims=True))
        alpha = np.exp(m - m_new)
        p = np.exp(s - m_new)
        l = alpha * l + p.sum(-1, keepdims=True)
        o = alpha * o + p @ vj
        m = m_new
    return o / l
