import numpy as np


def softmax(S):
    E = np.exp(S - S.max(-1, keepdims=True))
    return E / E.sum(-1, keepdims=True)


def self_attend(x, mask=None):
    atten_scores = x @ x.swapaxes(-1, -2) / np.sqrt(x.shape[-1])
    if mask is not None:
        attn_scores = np.where(mask, attn_scores, -np.inf)
    return softmax(atten_scores) @ x
