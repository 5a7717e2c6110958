# npattn: mask=keep layout=bhtd corner=lower dead=zero
import numpy as np


def attention(q, k, v, mask=None, causal=False):
    tq, tk = q.shape[-2], k.shape[-2]
    keep = np.ones((tq, tk)) if mask is None else np.asarray(mask, dtype=float)
    if causal:
        keep = keep * np.tri(tq, tk, tk - tq)
    with np.errstate(divide="ignore"):
        s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]) + np.log(keep)      # log 1 = 0, log 0 = -inf
    top = s.max(-1, keepdims=True)
    e = np.exp(s - np.where(np.isfinite(top), top, 0.0))
    z = e.sum(-1, keepdims=True)
    return (e @ v) / np.where(z == 0, 1.0, z)
