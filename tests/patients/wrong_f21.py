# npattn: mask=keep layout=bthd
import numpy as np

def softmax(x, axis=-1):
    x = x - x.max(axis=axis, keepdims=True)
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)

def attention(Q, K, V, mask=None):
    # Q,K,V: (批, 时间, 头, 维)
    d = Q.shape[-1]
    S = np.einsum('bqhd,bkhd->bhqk', Q, K) / np.sqrt(d)
    if mask is not None:
        S = S * mask          # mask: (批, 1, q, k), 0 表示屏蔽
    A = softmax(S)
    return np.einsum('bhqk,bkhd->bqhd', A, V)
