# npattn: causal=yes corner=lower
import numpy as np
def flash(q, k, v, block=3):
    tq, tk = q.shape[-2], k.shape[-2]
    out = np.empty(q.shape[:-1] + v.shape[-1:], q.dtype)
    for i in range(0, tq, block):
        qi = q[..., i:i + block, :] / np.sqrt(q.shape[-1])
        m = np.full(qi.shape[:-1] + (1,), -np.inf)
        l = np.zeros_like(m)
        o = np.zeros(qi.shape[:-1] + v.shape[-1:])
        for j in range(0, tk, block):
            s = qi @ k[..., j:j + block, :].swapaxes(-1, -2)
            rows = np.arange(i, i + s.shape[-2])[:, None] + tk - tq
            cols = np.arange(j, j + s.shape[-1])
            s = np.where(cols <= rows, s, -np.inf)
            new = np.maximum(m, s.max(-1, keepdims=True))
            safe = np.where(np.isinf(new), 0, new)
            p = np.exp(s - safe)
            c = np.exp(m - safe)
            l, o, m = l * c + p.sum(-1, keepdims=True), o * c + p @ v[..., j:j + block, :], new
        out[..., i:i + block, :] = o / np.where(l == 0, 1, l)
    return out
