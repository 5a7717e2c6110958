# npattn: heads=4
import numpy as np
def mha(x, w_q, w_k, w_v, w_o, n_heads=4):
    b, t, d = x.shape
    def heads(y):
        return y.reshape(b, n_heads, t, d // n_heads)
    q, k, v = heads(x @ w_q), heads(x @ w_k), heads(x @ w_v)
    s = q @ k.transpose(0, 1, 3, 2) / np.sqrt(d // n_heads)
    s = s - s.max(axis=-1, keepdims=True)
    a = np.exp(s) / np.exp(s).sum(axis=-1, keepdims=True)
    o = (a @ v).transpose(0, 2, 1, 3).reshape(b, t, d)
    return o @ w_o
