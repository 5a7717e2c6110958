# npattn: layout=bthd causal=no
import numpy as np


def attention_softcap(q, k, v, cap=5.0):
    """Gemma-2 attention: scores squashed smoothly into (-cap, cap) before softmax,
    s <- cap * tanh(s / cap), so that small scores stay as they are."""
    s = np.einsum("bqhd,bkhd->bhqk", q, k) * q.shape[-1] ** -0.5
    s = cap * np.tanh(s)
    s = s - s.max(axis=-1, keepdims=True)
    p = np.exp(s)
    p = p / p.sum(axis=-1, keepdims=True)
    return np.einsum("bhqk,bkhd->bqhd", p, v)
