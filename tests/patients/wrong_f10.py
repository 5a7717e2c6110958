import numpy as np


def attention_forward(Q, K, V):
    """单头注意力前向. Q:(B,T,d) K:(B,S,d) V:(B,S,dv)"""
    scale = 1.0 / np.sqrt(Q.shape[-1])
    S = np.matmul(Q, K.transpose(0, 2, 1)) * scale
    S = S - S.max(axis=-1, keepdims=True)
    P = np.exp(S)
    P = P / P.sum(axis=-1, keepdims=True)
    O = np.matmul(P, V)
    cache = (Q, K, V, P, scale)
    return O, cache


def attention_backward(dO, cache):
    """反向传播, 返回 dQ, dK, dV"""
    Q, K, V, P, scale = cache
    dV = np.matmul(P.transpose(0, 2, 1), dO)
    dP = np.matmul(dO, V.transpose(0, 2, 1))
    dS = P * (1 - P) * dP
    dQ = np.matmul(dS, K) * scale
    dK = np.matmul(dS.transpose(0, 2, 1), Q) * scale
    return dQ, dK, dV
