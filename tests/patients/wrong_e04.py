# npattn: mask=keep layout=td
import numpy as np


def attend(Q, K, V, mask=None):
    # Q (n, d), K (m, d), V (m, dv), mask (n, m) of 0/1
    E = np.exp(Q @ K.T / np.sqrt(K.shape[1]))
    if mask is not None:
        E = E * mask
    A = E / E.sum(axis=1)[:, None]
    return A @ V
