import numpy as np


def attention_forward(q, k, v):
    c = 1 / np.sqrt(q.shape[-1])
    s = c * np.einsum("...id,...jd->...ij", q, k)
    p = np.exp(s - s.max(-1, keepdims=True))
    p = p / p.sum(-1, keepdims=True)
    return np.einsum("...ij,...jd->...id", p, v), (q, k, v, p, c)


def attention_backward(g, saved):
    q, k, v, p, c = saved
    gv = np.einsum("...ij,...id->...jd", p, g)
    gp = np.einsum("...id,...jd->...ij", g, v)
    gs = p * (gp - (p * gp).sum(-1, keepdims=True))
    gq = c * np.einsum("...ij,...jd->...id", gs, k)
    gk = np.einsum("...ij,...id->...jd", gs, q)
    return gq, gk, gv
