# npattn: heads=4
import numpy as np


def multi_head(q, k, v, n_heads=4):
    """(B, T, D) each, the heads are consecutive slices of D; plain scaled dot product in each."""
    B, Tq, D = q.shape
    Tk = k.shape[1]
    d = D // n_heads
    qh = q.reshape(B, n_heads, Tq, d)
    kh = k.reshape(B, n_heads, Tk, d)
    vh = v.reshape(B, n_heads, Tk, d)
    logits = np.matmul(qh, kh.transpose(0, 1, 3, 2))
    logits -= logits.max(axis=-1, keepdims=True)
    w = np.exp(logits)
    w /= w.sum(axis=-1, keepdims=True)
    return np.matmul(w, vh).transpose(0, 2, 1, 3).reshape(B, Tq, D)
