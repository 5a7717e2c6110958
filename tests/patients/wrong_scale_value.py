import numpy as np


def attention(Q, K, V):
    S = np.matmul(Q, K.swapaxes(-1, -2)) / np.sqrt(V.shape[-1])
    P = np.exp(S - S.max(-1, keepdims=True))
    return np.matmul(P / P.sum(-1, keepdims=True), V)
