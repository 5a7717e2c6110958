# npattn: layout=bhtd mask=add
import numpy as np


def softmax(x, axis=1):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def compute_attention(q, k, v, mask=None):
    """Multi-head attention core. q, k, v: (batch, heads, seq, d_head); mask: 0 / -inf, added"""
    scores = np.matmul(q, k.transpose(0, 1, 3, 2)) / np.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores + np.maximum(mask, -1e9)
    attn = softmax(scores)
    return np.matmul(attn, v), attn
