# npattn: heads=2 layout=btd
import numpy as np


def split_heads(x, h):
    b, t, d = x.shape
    return np.transpose(x.reshape(b, t, h, d // h), (0, 2, 1, 3))


def multihead(q, k, v, num_heads=2):
    """Multi-head attention without projections; (batch, tokens, features)."""
    qh, kh, vh = split_heads(q, num_heads), split_heads(k, num_heads), split_heads(v, num_heads)
    logits = np.matmul(qh, np.transpose(kh, (0, 1, 3, 2))) / np.sqrt(qh.shape[-1])
    p = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    p = p / np.sum(p, axis=-1, keepdims=True)
    out = np.matmul(p, vh)
    return out.reshape(q.shape[0], q.shape[1], -1)
