import numpy as np


def stable_softmax(x):
    # subtract the max so that exp never overflows
    e = np.exp(x - np.max(x))
    return e / e.sum(axis=-1, keepdims=True)


def attention_forward(q, k, v, return_weights=False):
    scores = np.einsum('...id,...jd->...ij', q, k) / np.sqrt(q.shape[-1])
    p = stable_softmax(scores)
    out = np.einsum('...ij,...jd->...id', p, v)
    if return_weights:
        return out, p
    return out
