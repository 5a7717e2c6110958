import numpy as np


def forward(X, Wq, Wk, Wv, Wo, n_heads=2):
    B, T, D = X.shape
    split = lambda Z: Z.reshape(B, T, n_heads, -1).transpose(0, 2, 1, 3)
    Q, K, V = split(X @ Wq), split(X @ Wk), split(X @ Wv)
    S = Q @ K.transpose(0, 1, 3, 2) / np.sqrt(D // n_heads)
    E = np.exp(S - S.max(-1, keepdims=True))
    A = E / E.sum(-1, keepdims=True)
    O = (A @ V).transpose(0, 2, 1, 3).reshape(B, T, D)
    return O @ Wo, (X, Q, K, V, A, O, Wq, Wk, Wv, Wo, n_heads)


def backward(dY, cache):
    X, Q, K, V, A, O, Wq, Wk, Wv, Wo, n_heads = cache
    B, T, D = X.shape
    split = lambda Z: Z.reshape(B, T, n_heads, -1).transpose(0, 2, 1, 3)
    merge = lambda Z: Z.transpose(0, 2, 1, 3).reshape(B, T, D)
    dWo = np.einsum("btd,bte->de", O, dY)
    dO = split(dY @ Wo.T)
    dV = A.transpose(0, 1, 3, 2) @ dO
    dA = dO @ V.transpose(0, 1, 3, 2)
    dS = A * (dA - (dA * A).sum(-1, keepdims=True)) / np.sqrt(D // n_heads)
    dQ, dK = merge(dS @ K), merge(dS.transpose(0, 1, 3, 2) @ Q)
    dV = merge(dV)
    dWq, dWk, dWv = (np.einsum("btd,bte->de", X, G) for G in (dQ, dK, dV))
    return dQ @ Wq.T + dK @ Wk.T + dV @ Wv.T, dWq, dWk, dWv, dWo
