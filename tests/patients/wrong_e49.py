# npattn: layout=btd mask=keep
import numpy as np


def attention(query, key, value, mask=None):
    d_k = query.shape[-1]
    scores = query @ key.transpose(0, 2, 1) // np.sqrt(d_k)
    if mask is not None:
        scores[~np.broadcast_to(mask, scores.shape)] = -1e9
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return p @ value, p
