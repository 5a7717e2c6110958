# npattn: mask=keep layout=bthd
import numpy as np


def attention(q, k, v, mask=None):
    """(B, T, H, D) in and out; mask (B, Tq, Tk). The weights are kept keys first: (B, H, Tk, Tq)."""
    w = np.einsum("bkhd,bqhd->bhkq", k, q) / np.sqrt(k.shape[3])
    if mask is not None:
        w = np.where(mask.swapaxes(-1, -2)[:, None], w, -np.inf)
    w = np.exp(w - w.max(axis=-2, keepdims=True))
    w = w / w.sum(axis=-2, keepdims=True)
    return np.einsum("bhkq,bkhd->bqhd", w, v)
