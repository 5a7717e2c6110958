import numpy as np
def attention(Q, K, V):
    s = 1 / np.sqrt(Q.shape[-1])
    S = s * Q @ K.swapaxes(-1, -2)
    P = np.exp(S - S.max(-1, keepdims=True)); P /= P.sum(-1, keepdims=True)
    return P @ V, (Q, K, V, P, s)
def attention_backward(dO, cache):
    Q, K, V, P, s = cache
    dV = P.swapaxes(-1, -2) @ dO
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))
    dQ = s * dS @ K
    dK = dS.swapaxes(-1, -2) @ Q
    return dQ, dK, dV
