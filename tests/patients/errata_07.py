import numpy as np


def softmax(S):
    E = np.exp(S - S.max(-1, keepdims=True))
    return E / E.sum(-1, keepdims=True)


def attend(Q, K, V, valid_lens=None):
    S = Q @ K.swapaxes(1, 2) / np.sqrt(Q.shape[-1])
    rows = S.reshape(-1, S.shape[-1]).copy()
    if valid_lens is not None:
        rows[np.arange(S.shape[-1]) >= valid_lens[:, None]] = -1e30
    return softmax(rows).reshape(S.shape) @ V
