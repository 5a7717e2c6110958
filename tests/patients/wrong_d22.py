# Homework 3, part (b): scaled dot product attention
import numpy as np


def softmax(z, axis):
    z = z - np.max(z, axis=axis, keepdims=True)
    e = np.exp(z)
    return e / np.sum(e, axis=axis, keepdims=True)


def attention(Q, K, V):
    """
    Q: (B, Tq, d), K: (B, Tk, d), V: (B, Tk, dv)
    returns (B, Tq, dv)
    """
    d = Q.shape[-1]
    S = np.matmul(Q, K.transpose(0, 2, 1)) / np.sqrt(d)
    A = softmax(S, axis=1)
    return np.matmul(A, V)
