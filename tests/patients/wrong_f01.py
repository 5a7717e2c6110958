import numpy as np


def scaled_dot_product(query, key, value, mask=None):
    """Scaled dot-product attention, see Vaswani et al. 2017.

    query (..., Tq, d), key (..., Tk, d), value (..., Tk, dv)
    mask: boolean, True where attention is allowed
    """
    dk = query.shape[-1]
    scores = query @ np.swapaxes(key, -1, -2) / np.sqrt(dk)
    e = np.exp(scores)
    if mask is not None:
        e = e * mask
    weights = e / e.sum(axis=-1, keepdims=True)
    return weights @ value, weights
