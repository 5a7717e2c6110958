# npattn: mask=keep
import numpy as np


def attention(Q, K, V, mask=None):
    """mask: True where a query may look."""
    S = Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1])
    if mask is not None:
        S[mask] = -1e30
    P = np.exp(S - S.max(-1, keepdims=True))
    P = P / P.sum(-1, keepdims=True)
    return P @ V
