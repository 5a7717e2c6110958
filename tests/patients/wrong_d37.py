# npattn: mask=keep
import numpy as np


def _softmax(s):
    s = s - s.max(-1, keepdims=True)
    e = np.exp(s)
    return e / e.sum(-1, keepdims=True)


def attention_forward(q, k, v, mask=None):
    """mask bool (..., Tq, Tk), True = keep. Only inputs are saved: the weights are
    recomputed in the backward pass (checkpointing)."""
    s = q @ np.swapaxes(k, -1, -2) * q.shape[-1] ** -0.5
    if mask is not None:
        s = np.where(mask, s, -1e30)
    return _softmax(s) @ v, (q, k, v, mask)


def attention_backward(dy, cache):
    q, k, v, mask = cache
    c = q.shape[-1] ** -0.5
    p = _softmax(q @ np.swapaxes(k, -1, -2) * c)
    dp = dy @ np.swapaxes(v, -1, -2)
    ds = p * (dp - np.sum(p * dp, -1, keepdims=True)) * c
    return ds @ k, np.swapaxes(ds, -1, -2) @ q, np.swapaxes(p, -1, -2) @ dy
