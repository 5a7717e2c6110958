import numpy as np
def attention(q, k, v, attn_bias=None):
    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    if attn_bias is not None:
        s = s + attn_bias
    with np.errstate(invalid="ignore"):
        e = np.exp(s - s.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True) @ v
