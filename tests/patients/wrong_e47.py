# npattn: layout=bthd
import numpy as np


def mha(q, k, v):
    # all (batch, length, heads, features)
    a = np.einsum("bihd,bjhd->bhij", q, k) / q.shape[-1] ** 0.5
    a = np.exp(a - a.max(axis=3, keepdims=True))
    a = a / a.sum(axis=3, keepdims=True)
    return np.einsum("bhij,bihd->bjhd", a, v)
