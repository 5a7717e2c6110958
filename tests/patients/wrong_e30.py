# npattn: mask=keep layout=btd
import numpy as np


def attention(Q, K, V, mask=None):
    """Keys come first while we work: S[b, j, i] = k_j . q_i"""
    S = np.einsum("bjd,bid->bji", K, Q) / np.sqrt(Q.shape[-1])
    if mask is not None:
        S = np.where(mask, S, -1e30)
    P = np.exp(S - S.max(1, keepdims=True))
    P = P / P.sum(1, keepdims=True)
    return np.einsum("bji,bjd->bid", P, V), P.transpose(0, 2, 1)
