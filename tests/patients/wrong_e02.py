# npattn: mask=keep layout=bhtd
import numpy as np


def _softmax(s):
    s = s - s.max(-1, keepdims=True)
    s = np.exp(s)
    return s / s.sum(-1, keepdims=True)


def sdpa(query, key, value, mask=None, causal=False):
    Tq, Tk = query.shape[-2], key.shape[-2]
    logits = query @ np.moveaxis(key, -1, -2) * query.shape[-1] ** -0.5
    if causal:
        mask = np.tril(np.ones((Tq, Tk), dtype=bool))
    if mask is not None:
        logits = np.where(mask, logits, np.finfo(logits.dtype).min)
    return _softmax(logits) @ value
