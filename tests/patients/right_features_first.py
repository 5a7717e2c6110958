import numpy as np


def attention(Q, K, V):
    """A vector is a column: Q (d, n), K (d, m), V (e, m), as in some lectures; here for (n, d) inputs."""
    Q, K, V = Q.swapaxes(-1, -2), K.swapaxes(-1, -2), V.swapaxes(-1, -2)
    A = K.swapaxes(-1, -2) @ Q / np.sqrt(Q.shape[-2])
    A = np.exp(A - A.max(-2, keepdims=True))
    A = A / A.sum(-2, keepdims=True)
    return (V @ A).swapaxes(-1, -2)
