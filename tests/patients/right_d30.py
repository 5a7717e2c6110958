# npattn: mask=keep layout=bhtd
import numpy as np


def masked_attention(q, k, v, mask=None):
    """mask: float 1.0 / 0.0, broadcastable to (B, H, Tq, Tk). Rows without any key yield zeros."""
    d = q.shape[-1]
    sc = np.matmul(q, np.moveaxis(k, -1, -2)) / np.sqrt(d)
    mk = np.ones(sc.shape) if mask is None else np.broadcast_to(mask, sc.shape)
    sc = np.where(mk > 0.5, sc, -np.inf)
    top = sc.max(-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    e = np.exp(sc - top)
    tot = e.sum(-1, keepdims=True)
    w = np.divide(e, tot, out=np.zeros_like(e), where=tot > 0)
    return np.matmul(w, v)
