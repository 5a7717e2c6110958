# npattn: backward=self_attention_backward
import numpy as np
def self_attention(X, Wq, Wk, Wv):
    Q, K, V = X @ Wq, X @ Wk, X @ Wv
    S = Q @ K.swapaxes(-1, -2) / np.sqrt(Wq.shape[-1])
    E = np.exp(S - S.max(-1, keepdims=True))
    P = E / E.sum(-1, keepdims=True)
    return P @ V, (X, Wq, Wk, Wv, Q, K, V, P)
def self_attention_backward(dO, cache):
    X, Wq, Wk, Wv, Q, K, V, P = cache
    dV = P.swapaxes(-1, -2) @ dO
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (dP * P).sum(-1, keepdims=True)) / np.sqrt(Wq.shape[-1])
    dQ, dK = dS @ K, dS.swapaxes(-1, -2) @ Q
    dX = dQ @ Wq.T + dK @ Wk.T
    g = lambda d: np.tensordot(X, d, axes=(range(X.ndim - 1), range(X.ndim - 1)))
    return dX, g(dQ), g(dK), g(dV)
