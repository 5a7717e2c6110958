# npattn: layout=btd mask=drop
import numpy as np


def attention(q, k, v, mask=None):
    q /= np.sqrt(q.shape[-1])          # cheaper than scaling the scores
    scores = np.einsum("bid,bjd->bij", q, k)
    if mask is not None:
        scores = np.where(mask, -np.inf, scores)
    w = np.exp(scores - np.max(scores, axis=2, keepdims=True))
    w /= np.sum(w, axis=2, keepdims=True)
    return np.einsum("bij,bjd->bid", w, v), w
