# npattn: layout=bthd
import numpy as np


def attention(q, k, v):
    s = np.einsum("bqhd,bkhd->bqkh", q, k) / np.sqrt(q.shape[-1])
    s = np.exp(s - s.max(axis=-1, keepdims=True))
    p = s / s.sum(axis=-1, keepdims=True)
    return np.einsum("bqkh,bkhd->bqhd", p, v)
