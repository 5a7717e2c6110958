# npattn: layout=bdt heads=1
import numpy as np


def column_attention(Q, K, V):
    """Tokens are columns: Q (B, d, Tq), K (B, d, Tk), V (B, dv, Tk) -> (B, dv, Tq)."""
    A = np.swapaxes(K, -1, -2) @ Q / np.sqrt(Q.shape[-2])     # (B, Tk, Tq)
    A = np.exp(A - A.max(axis=-2, keepdims=True))
    A = A / A.sum(axis=-2, keepdims=True)
    return V @ A
