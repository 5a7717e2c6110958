import numpy as np


def softmax(S):
    E = np.exp(S - S.max(-1, keepdims=True))
    return E / E.sum(-1, keepdims=True)


def attend(Q, K, V):
    Q *= 1 / np.sqrt(Q.shape[-1])
    return softmax(Q @ K.swapaxes(-1, -2)) @ V
