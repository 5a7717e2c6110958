# npattn: layout=bthd
import numpy as np


def bthd_attention(q, k, v):
    # q: (B, T, H, D), everything stays in this layout
    logits = np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(q.shape[-1])
    logits = logits - logits.max()
    num = np.exp(logits)
    den = np.einsum("bhqk->hq", num)
    return np.einsum("bhqk,bkhd->bqhd", num, v) / den.T[None, :, :, None]
