# npattn: layout=bhtd
import numpy as np


def attn_forward(q, k, v, causal=False):
    d = q.shape[-1]
    q = q / np.sqrt(d)                      # scaled queries go into the cache
    s = np.einsum('bhid,bhjd->bhij', q, k)
    if causal:
        n, m = s.shape[-2:]
        s = s + np.triu(np.full((n, m), -1e30), 1 + m - n)
    s = np.exp(s - s.max(-1, keepdims=True))
    p = s / s.sum(-1, keepdims=True)
    o = np.einsum('bhij,bhjd->bhid', p, v)
    return o, dict(q=q, k=k, v=v, p=p, o=o)


def attn_backward(do, cache):
    q, k, v, p, o = (cache[n] for n in 'qkvpo')
    delta = (do * o).sum(-1, keepdims=True)           # FlashAttention's row term
    ds = p * (np.einsum('bhid,bhjd->bhij', do, v) - delta)
    dq = np.einsum('bhij,bhjd->bhid', ds, k) / np.sqrt(q.shape[-1])
    dk = np.einsum('bhij,bhid->bhjd', ds, q)          # q holds the scale already
    dv = np.einsum('bhij,bhid->bhjd', p, do)
    return dq, dk, dv
