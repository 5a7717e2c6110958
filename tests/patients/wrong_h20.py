import numpy as np
def attention(q, k, v, chunk=3, causal=True):
    T = q.shape[-2]
    outs = []
    for s in range(0, T, chunk):
        qi = q[..., s:s + chunk, :]
        logits = qi @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        if causal:
            m = np.arange(T)[None, :] <= np.arange(qi.shape[-2])[:, None]
            logits = np.where(m, logits, -1e30)
        p = np.exp(logits - logits.max(-1, keepdims=True))
        outs.append(p / p.sum(-1, keepdims=True) @ v)
    return np.concatenate(outs, -2)
