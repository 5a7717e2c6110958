# npattn: layout=bhtd heads=4 kv-heads=2 backward=gqa_bwd
import numpy as np


def gqa(q, k, v):
    """q (B, H, Tq, D); k, v (B, G, Tk, D); query head h reads group h // (H // G)."""
    B, H, T, D = q.shape
    G = k.shape[1]
    Q = q.reshape(B, G, H // G, T, D)
    S = np.einsum("bgrtd,bgsd->bgrts", Q, k) / np.sqrt(D)
    P = np.exp(S - S.max(-1, keepdims=True))
    P /= P.sum(-1, keepdims=True)
    O = np.einsum("bgrts,bgsd->bgrtd", P, v)
    return O.reshape(B, H, T, -1), (Q, k, v, P)


def gqa_bwd(dO, cache):
    Q, k, v, P = cache
    B, G, R, T, D = Q.shape
    dO = dO.reshape(B, G, R, T, -1)
    dP = np.einsum("bgrtd,bgsd->bgrts", dO, v)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True)) / np.sqrt(D)
    dQ = np.einsum("bgrts,bgsd->bgrtd", dS, k).reshape(B, G * R, T, D)
    dK = np.einsum("bgrts,bgrtd->bgsd", dS, Q)
    dV = (P.swapaxes(-1, -2) @ dO).mean(axis=2)
    return dQ, dK, dV
