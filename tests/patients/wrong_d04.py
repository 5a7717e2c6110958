import numpy as np

# Snippet from the post "Attention in 10 lines"


def scaled_dot_product_attention(query, key, value, mask=None):
    """mask: boolean, True = may look"""
    scores = query @ np.swapaxes(key, -1, -2)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    exps = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exps / exps.sum(axis=-1, keepdims=True) / np.sqrt(query.shape[-1])
    return weights @ value
