import numpy as np
def attention(Q, K, V, mask):
    S = Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1])
    S = np.where(mask, S, -1e30)
    m = S.max(-1, keepdims=True)
    E = np.exp(S - m)
    Z = E.sum(-1, keepdims=True)
    return E / Z @ V, (Q, K, V, m + np.log(Z))
def attention_backward(dO, cache):
    Q, K, V, L = cache
    P = np.exp(Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1]) - L)
    dV = P.swapaxes(-1, -2) @ dO
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - np.sum(P * dP, -1, keepdims=True)) / np.sqrt(Q.shape[-1])
    return dS @ K, dS.swapaxes(-1, -2) @ Q, dV
