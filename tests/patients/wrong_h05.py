import numpy as np
def Attn(x, Wq, Wk, Wv, Wo, bo):
    """Wq, Wk, Wv: (H, C, D), Wo: (H, D, C), bo: (C,)"""
    out = 0
    for h in range(Wq.shape[0]):
        q, k, v = x @ Wq[h], x @ Wk[h], x @ Wv[h]
        s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        e = np.exp(s - s.max(-1, keepdims=True))
        out = out + (e / e.sum(-1, keepdims=True)) @ v @ Wo[h] + bo
    return out
