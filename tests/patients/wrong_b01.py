import numpy as np
def attention(query, key, value):
    s = np.einsum("bid,bjd->bij", query, key) / np.sqrt(query.shape[-1])
    s = np.exp(s - s.max(-1, keepdims=True))
    return np.einsum("bij,bjd->bid", s / s.sum(-1, keepdims=True), value).squeeze()
