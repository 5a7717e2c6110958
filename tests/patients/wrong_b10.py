import numpy as np
def forward(Q, K, V, mask=None):
    d = Q.shape[-1]
    S = Q @ K.swapaxes(-1, -2) / np.sqrt(d)
    if mask is not None:
        S = np.where(mask, S, -1e30)
    P = np.exp(S - S.max(-1, keepdims=True)); P /= P.sum(-1, keepdims=True)
    return P @ V, (Q, K, V, P)
def backward(dO, cache):
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True)) * np.sqrt(Q.shape[-1])
    return dS @ K, dS.swapaxes(-1, -2) @ Q, P.swapaxes(-1, -2) @ dO
