# npattn: backward=attn_bwd mask=add
import numpy as np


def attn_fwd(q, k, v, mask=None):
    sc = q.shape[-1] ** -.5
    w = np.einsum('bhid,bhjd->bhij', q, k)
    w *= sc
    if mask is not None:
        w += mask
    w -= w.max(-1, keepdims=True)
    np.exp(w, out=w)
    w /= w.sum(-1, keepdims=True)
    return np.einsum('bhij,bhjd->bhid', w, v), (q, k, v, w, sc)


def attn_bwd(dout, saved):
    q, k, v, w, sc = saved
    dv = np.einsum('bhij,bhid->bhjd', w, dout)
    ds = np.einsum('bhid,bhjd->bhij', dout, v)
    ds -= np.einsum('bhij,bhij->bhi', ds, w)[..., None]
    ds *= w
    ds *= sc
    return np.einsum('bhij,bhjd->bhid', ds, k), np.einsum('bhij,bhid->bhjd', ds, q), dv
