# npattn: layout=btd
import numpy as np


def softmax(S):
    E = np.exp(S - S.max(-1, keepdims=True))
    return E / E.sum(-1, keepdims=True)


def attend(x):
    X = x.swapaxes(0, 1)
    S = X @ X.swapaxes(-1, -2) / np.sqrt(x.shape[-1])
    return (softmax(S) @ X).swapaxes(0, 1)
