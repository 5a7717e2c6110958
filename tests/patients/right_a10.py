import numpy as np
def attn_forward(q, k, v, mask=None):
    c = 1.0 / np.sqrt(q.shape[-1])
    s = np.einsum("bqd,bkd->bqk", q, k) * c
    if mask is not None:
        s = np.where(mask, s, -1e30)
    s = s - s.max(2, keepdims=True)
    p = np.exp(s)
    p = p / p.sum(2, keepdims=True)
    return np.einsum("bqk,bkd->bqd", p, v), {"q": q, "k": k, "v": v, "p": p, "c": c}
def attn_backward(dy, cache):
    q, k, v, p, c = (cache[n] for n in "qkvpc")
    dv = np.einsum("bqk,bqd->bkd", p, dy)
    dp = np.einsum("bqd,bkd->bqk", dy, v)
    ds = c * p * (dp - np.einsum("bqd,bqd->bq", dy, np.einsum("bqk,bkd->bqd", p, v))[..., None])
    return np.einsum("bqk,bkd->bqd", ds, k), np.einsum("bqk,bqd->bkd", ds, q), dv
