import numpy as np


def attention(q, k, v, mask=None):
    """mask: 0/1 float or bool, (..., Tq, Tk), 1 = visible. A row with nothing visible gives NaN."""
    s = np.einsum('...qd,...kd->...qk', q, k) / q.shape[-1] ** 0.5
    if mask is not None:
        big = np.where(mask > 0, s, -np.inf).max(-1, keepdims=True)
    else:
        big = s.max(-1, keepdims=True)
    p = np.exp(np.minimum(s - big, 0))
    if mask is not None:
        p = p * mask
    p = p / p.sum(-1, keepdims=True)
    return np.einsum('...qk,...kd->...qd', p, v), p
