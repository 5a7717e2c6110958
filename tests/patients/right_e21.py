# npattn: layout=tbd mask=drop
import numpy as np


def attention(q, k, v, mask=None):
    """Time first: (T, B, D). mask (B, Tq, Tk). The softmax runs over axis 0, where the keys are."""
    s = np.einsum("sbd,tbd->sbt", k, q) / np.sqrt(q.shape[-1])
    if mask is not None:
        s = np.where(np.moveaxis(mask, 2, 0), -1e30, s)
    s = np.exp(s - s.max(0))
    s = s / s.sum(0)
    return np.einsum("sbt,sbd->tbd", s, v), np.moveaxis(s, 0, 2)
