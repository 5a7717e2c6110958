# npattn: layout=bhtd mask=keep
import numpy as np


def softmax(S):
    E = np.exp(S - S.max(-1, keepdims=True))
    return E / E.sum(-1, keepdims=True)


def attend(Q, K, V, padding=None):
    """padding (B, T)"""
    S = Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1])
    if padding is not None:
        assert padding.ndim == 2
        S = np.where(padding[:, None, :], S, -np.inf)
    return softmax(S) @ V
