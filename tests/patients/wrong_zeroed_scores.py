# npattn: mask=keep
import numpy as np


def sdpa(q, k, v, mask):
    s = np.einsum("...id,...jd->...ij", q, k) / q.shape[-1] ** 0.5
    s = s * mask
    s = np.exp(s - np.max(s, axis=-1, keepdims=True))
    return np.einsum("...ij,...jd->...id", s / s.sum(axis=-1, keepdims=True), v)
