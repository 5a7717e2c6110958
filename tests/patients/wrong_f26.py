# npattn: mask=keep
import numpy as np

def softmax(x):
    ex = np.exp(x - np.max(x))
    return ex / ex.sum(axis=-1, keepdims=True)

def attn_np(Q, K, V, mask=None, return_weights=False):
    S = np.matmul(Q, np.swapaxes(K, -2, -1)) / np.sqrt(K.shape[-1])
    if mask is not None:
        S = np.where(mask, S, -np.inf)
    A = softmax(S)
    out = np.matmul(A, V)
    return (out, A) if return_weights else out
