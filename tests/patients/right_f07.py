# npattn: mask=drop dead=zero
import numpy as np


def dot_attention(queries, keys, values, masked=None):
    """对完全被遮住的查询返回 0"""
    scores = np.einsum('...id,...jd->...ij', queries, keys)
    scores *= 1.0 / np.sqrt(queries.shape[-1])        # own buffer
    if masked is not None:
        masked = np.broadcast_to(masked, scores.shape)
        scores[masked] = -np.inf
    peak = scores.max(-1, keepdims=True)
    peak[np.isneginf(peak)] = 0
    np.subtract(scores, peak, out=scores)
    np.exp(scores, out=scores)
    total = scores.sum(-1, keepdims=True)
    total[total == 0] = 1
    scores /= total
    return np.einsum('...ij,...jd->...id', scores, values)
