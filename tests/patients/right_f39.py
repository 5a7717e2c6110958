import numpy as np


def attend(Q, K, V, mask=None):
    s = 1 / np.sqrt(Q.shape[-1])
    A = Q @ np.swapaxes(K, -1, -2) * s
    if mask is not None:
        A = np.where(mask, A, -1e30)
    A = np.exp(A - A.max(-1, keepdims=True))
    A /= A.sum(-1, keepdims=True)
    if mask is not None:
        A = A * mask
    return A @ V, dict(Q=Q, K=K, V=V, A=A, s=s)


def attend_backward(dY, memo):
    Q, K, V, A, s = (memo[k] for k in "Q K V A s".split())
    G = dY @ np.swapaxes(V, -1, -2)
    G = A * (G - np.sum(dY * (A @ V), -1, keepdims=True)) * s
    return G @ K, np.swapaxes(G, -1, -2) @ Q, np.swapaxes(A, -1, -2) @ dY
