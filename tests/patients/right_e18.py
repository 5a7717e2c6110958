# npattn: mask=keep layout=bhtd
import numpy as np


def attention(q, k, v, mask=None, softcap=4.0):
    """Logits squashed to (-softcap, softcap), then masked."""
    s = np.einsum("bhid,bhjd->bhij", q, k) / np.sqrt(q.shape[-1])
    s = softcap * (2.0 / (1.0 + np.exp(-2.0 * s / softcap)) - 1.0)
    if mask is not None:
        s = np.where(mask, s, -np.inf)
    e = np.exp(s - s.max(-1, keepdims=True))
    return np.einsum("bhij,bhjd->bhid", e / e.sum(-1, keepdims=True), v)
