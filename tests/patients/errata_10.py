# npattn: causal=yes
import numpy as np


def softmax(S):
    E = np.exp(S - S.max(-1, keepdims=True))
    return E / E.sum(-1, keepdims=True)


def attend(Q, K, V, training=False):
    S = Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1])
    if training:
        S = np.where(np.tri(*S.shape[-2:], dtype=bool), S, -np.inf)
    return softmax(S) @ V
