# npattn: mask=drop
import numpy as np


def masked_softmax_attention(q, k, v, mask=None):
    '''mask: 1 for positions to hide, 0 for visible ones; same dtype handling as the inputs'''
    d = q.shape[-1]
    logits = np.matmul(q, np.moveaxis(k, -1, -2)) / q.dtype.type(np.sqrt(d))
    if mask is not None:
        logits = logits + mask.astype(q.dtype) * q.dtype.type(-1e9)
    logits = logits - np.max(logits, axis=-1, keepdims=True)
    w = np.exp(logits)
    w = w / np.sum(w, axis=-1, keepdims=True)
    return np.matmul(w, v), w
