"""Forwards that several exercises share, written to be read. A learner's file quotes them."""

import math
from typing import NamedTuple

import numpy as np


def masked_softmax(S, mask=None):
    """Weights along the last axis; a key where mask is False gets exactly 0."""
    if mask is not None:
        S = np.where(mask, S, -np.inf)
    top = S.real.max(axis=-1, keepdims=True)
    E = np.exp(S - np.where(np.isneginf(top), 0.0, top))
    Z = E.sum(axis=-1, keepdims=True)
    return E / np.where(Z == 0.0, 1.0, Z)  # a row that allows no key: all 0


class AttentionCache(NamedTuple):
    """What the backward may use."""

    Q: np.ndarray  # (..., Tq, Dk)
    K: np.ndarray  # (..., Tk, Dk)
    V: np.ndarray  # (..., Tk, Dv)
    P: np.ndarray  # (..., Tq, Tk)


def attention(Q, K, V, mask=None):
    """O (..., Tq, Dv) and the cache; mask (..., Tq, Tk) is True where a query may attend."""
    S = Q @ K.swapaxes(-1, -2) / math.sqrt(Q.shape[-1])
    P = masked_softmax(S, mask)
    O = P @ V
    return O, AttentionCache(Q, K, V, P)
