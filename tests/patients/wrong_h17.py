# npattn: layout=bthd
import numpy as np


def attention(q, k, v, _consts={}):
    """q, k, v: (batch, tokens, heads, features). Constants are computed once."""
    if "scale" not in _consts:
        _consts["scale"] = 1.0 / float(np.sqrt(q.shape[-1]))
    s = np.einsum("bihd,bjhd->bhij", q, k) * _consts["scale"]
    s = np.exp(s - s.max(axis=3, keepdims=True))
    s = s / s.sum(axis=3, keepdims=True)
    return np.einsum("bhij,bjhd->bihd", s, v)
