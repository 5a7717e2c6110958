# npattn: backward=backward mask=drop
import numpy as np


def forward(x_q, x_k, x_v, mask=None):
    """x_q, x_k, x_v: (batch, n, d). mask (n, n): 1 = blocked"""
    scale = x_q.shape[2] ** 0.5
    logits = np.einsum('bid,bjd->bij', x_q, x_k) / scale
    if mask is not None:
        logits = np.where(mask.astype(bool), -1e9, logits)
    e = np.exp(logits - logits.max(2, keepdims=True))
    a = e / e.sum(2, keepdims=True)
    y = np.einsum('bij,bjd->bid', a, x_v)
    return y, {'q': x_q, 'k': x_k, 'v': x_v, 'a': a, 'scale': scale}


def backward(dy, c):
    a = c['a']
    dv = np.einsum('bij,bjd->bid', a, dy)
    da = np.einsum('bid,bjd->bij', dy, c['v'])
    dz = a * (da - (da * a).sum(2, keepdims=True)) / c['scale']
    dq = np.einsum('bij,bjd->bid', dz, c['k'])
    dk = np.einsum('bij,bid->bjd', dz, c['q'])
    return dq, dk, dv
