# npattn: causal=yes layout=bthd
import numpy as np
def causal(q, k, v):
    s = np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(q.shape[-1])
    tq, tk = s.shape[-2:]
    s = np.where(np.tri(tq, tk, dtype=bool), s, -np.inf)
    e = np.exp(s - s.max(-1, keepdims=True))
    return np.einsum("bhqk,bkhd->bqhd", e / e.sum(-1, keepdims=True), v)
