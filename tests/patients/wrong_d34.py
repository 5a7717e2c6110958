import numpy as np


def attn_forward(q, k, v):
    """q (N,T,D) k (N,S,D) v (N,S,E) -> out (N,T,E), cache"""
    scale = 1 / np.sqrt(q.shape[2])
    s = np.einsum('ntd,nsd->nts', q, k) * scale
    s = s - s.max(axis=2, keepdims=True)
    p = np.exp(s)
    p = p / p.sum(axis=2, keepdims=True)
    return np.einsum('nts,nse->nte', p, v), (q, k, v, p, scale)


def attn_backward(dout, cache):
    """returns dq, dk, dv"""
    q, k, v, p, scale = cache
    dv = np.einsum('nts,nte->nse', p, dout)
    dp = np.einsum('nte,nse->nts', dout, v)
    ds = p * (1 - p) * dp
    dq = np.einsum('nts,nsd->ntd', ds, k) * scale
    dk = np.einsum('nts,ntd->nsd', ds, q) * scale
    return dq, dk, dv
