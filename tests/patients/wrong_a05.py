import numpy as np
def sdpa(query, key, value, mask=None):
    scores = np.einsum("...qd,...kd->...qk", query, key) / np.sqrt(query.shape[-1])
    w = np.exp(scores)
    if mask is not None:
        w = w * mask
    w = w / w.sum(-1, keepdims=True)
    return np.einsum("...qk,...kd->...qd", w, value), w
