import numpy as np
def forward(Q, K, V):
    S = Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1])
    S = np.exp(S - S.max(-1, keepdims=True))
    P = S / S.sum(-1, keepdims=True)
    return P @ V, dict(Q=Q, K=K, V=V, P=P)
def backward(dO, cache):
    Q, K, V, P = cache["Q"], cache["K"], cache["V"], cache["P"]
    dV = P @ dO
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (dP * P).sum(-1, keepdims=True)) / np.sqrt(Q.shape[-1])
    return dS @ K, dS.swapaxes(-1, -2) @ Q, dV
