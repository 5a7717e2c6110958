import numpy as np


def attention(Q, K, V):
    S = Q @ np.swapaxes(K, -1, -2) / np.sqrt(Q.shape[-1])
    E = np.exp(S - S.max())
    return E / E.sum(-1, keepdims=True) @ V
