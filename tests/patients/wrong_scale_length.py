import numpy as np


def attention(Q, K, V):
    S = Q @ K.swapaxes(-1, -2) / np.sqrt(K.shape[-2])
    P = np.exp(S - S.max(-1, keepdims=True))
    return P / P.sum(-1, keepdims=True) @ V
