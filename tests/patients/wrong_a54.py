# npattn: layout=bthd
import numpy as np
def attn(q, k, v):
    s = np.einsum("bqhd,bkhd->bqk", q, k) / np.sqrt(q.shape[-1])
    s = np.exp(s - s.max(-1, keepdims=True))
    s /= s.sum(-1, keepdims=True)
    return np.einsum("bqk,bkhd->bqhd", s, v)
