import numpy as np


def softmax(S):
    E = np.exp(S - S.max(-1, keepdims=True))
    return E / E.sum(-1, keepdims=True)


def attend(Q, K, V, valid_lens=None):
    S = Q @ K.swapaxes(1, 2) / np.sqrt(Q.shape[-1])
    if valid_lens is not None:
        S = np.where(np.arange(S.shape[-1]) < valid_lens[:, None, None], S, 0)
    return softmax(S) @ V
