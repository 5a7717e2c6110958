import numpy as np

def softmax(x, axis=-1):
    x = x - x.max(axis=axis, keepdims=True)
    e = np.exp(x)
    return e / e.sum(axis=axis, keepdims=True)


def forward(Q, K, V):
    s = 1 / np.sqrt(Q.shape[-1])
    S = Q @ np.swapaxes(K, -1, -2) * s
    P = softmax(S)
    return P @ V, (Q, K, V, P, s)

def backward(dO, cache):
    Q, K, V, P, s = cache
    dV = np.swapaxes(P, -1, -2) @ dO
    dP = dO @ np.swapaxes(V, -1, -2)
    dS = P * (dP)
    dQ = s * dS @ K
    dK = s * np.swapaxes(dS, -1, -2) @ Q
    return dQ, dK, dV
