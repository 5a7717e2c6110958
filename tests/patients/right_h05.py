import numpy as np


def attention(Q, K_T, V):
    """Q (T, d); K_T already transposed, (d, T); V (T, dv)."""
    d = K_T.shape[0]
    A = Q.dot(K_T)
    A /= d ** 0.5
    A = np.exp(A - A.max(1)[:, None])
    return (A / A.sum(1)[:, None]).dot(V)
