# npattn: layout=btd backward=backward
import numpy as np


def forward(Q, K, V):
    c = 1.0 / np.sqrt(Q.shape[-1])
    S = c * Q @ K.transpose(0, 2, 1)
    P = np.exp(S - S.max(-1, keepdims=True))
    P = P / P.sum(-1, keepdims=True)
    return P @ V, (Q, K, V, P, c)


def backward(dO, cache):
    Q, K, V, P, c = cache
    dV = P.transpose(0, 2, 1) @ dO
    dP = dO @ V.transpose(0, 2, 1)
    dS = P * dP
    dQ = c * dS @ K
    dK = c * dS.transpose(0, 2, 1) @ Q
    return dQ, dK, dV
