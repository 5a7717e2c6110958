# npattn: layout=bthd causal=no
import numpy as np


def grouped_attention(q, k, v):
    """q: (B, T, Hq, D), k and v: (B, S, Hkv, D). No repeat: the group axis is carried along."""
    B, T, Hq, D = q.shape
    Hkv = k.shape[2]
    qg = q.reshape(B, T, Hkv, Hq // Hkv, D)
    L = np.einsum('btgrd,bsgd->bgrts', qg, k) * D ** -0.5
    L = np.exp(L - L.max(axis=-1, keepdims=True))
    L = L / L.sum(axis=-1, keepdims=True)
    return np.einsum('bgrts,bsgd->btgrd', L, v).reshape(B, T, Hq, v.shape[-1])
