# npattn: mask=add
import numpy as np
def attention(q, k, v, bias=None):
    s = q @ k.swapaxes(-1, -2)
    if bias is not None:
        s = s + bias
    s = s / np.sqrt(q.shape[-1])
    e = np.exp(s - s.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)) @ v
