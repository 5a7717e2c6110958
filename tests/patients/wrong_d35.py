# npattn: layout=bhtd causal=no
import numpy as np


def gqa_forward(q, k, v):
    """q (B, Hq, T, d); k, v (B, Hkv, S, d), Hq a multiple of Hkv. Query head h reads kv head h // (Hq // Hkv)."""
    rep = q.shape[1] // k.shape[1]
    kk = np.repeat(k, rep, axis=1)
    vv = np.repeat(v, rep, axis=1)
    a = q @ kk.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
    a = np.exp(a - a.max(-1, keepdims=True))
    a = a / a.sum(-1, keepdims=True)
    return a @ vv, (q, k, v, a)


def gqa_backward(g, cache):
    q, k, v, a = cache
    rep = q.shape[1] // k.shape[1]
    c = 1 / np.sqrt(q.shape[-1])
    kk = np.repeat(k, rep, axis=1)
    vv = np.repeat(v, rep, axis=1)
    dvv = a.transpose(0, 1, 3, 2) @ g
    da = g @ vv.transpose(0, 1, 3, 2)
    dz = a * (da - (da * a).sum(-1, keepdims=True)) * c
    dq = dz @ kk
    dkk = dz.transpose(0, 1, 3, 2) @ q
    B, Hkv, S, d = k.shape
    dk = dkk.reshape(B, Hkv, rep, S, d)[:, :, 0]
    dv = dvv.reshape(B, Hkv, rep, S, d).sum(2)
    return dq, dk, dv
