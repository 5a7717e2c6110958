import numpy as np


def scaled_attention(query, key, value):
    """query [T, d], key [S, d], value [S, dv]; batch axes in front are fine as well"""
    d_k = key.shape[-1]
    scores = query @ key.swapaxes(-2, -1) / d_k ** 1/2
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    return weights @ value
