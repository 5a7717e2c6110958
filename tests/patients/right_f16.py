# npattn: layout=tbd mask=keep
import numpy as np


def seq_first_attention(q, k, v, key_mask=None):
    """Sequence-first tensors as in fairseq: q (T, B, C), k and v (S, B, C); key_mask (B, S), 1 = token"""
    e = np.einsum('tbc,sbc->tsb', q, k) / np.sqrt(q.shape[2])
    if key_mask is not None:
        e = np.where(np.asarray(key_mask).T[None] != 0, e, -1e30)
    e = np.exp(e - e.max(axis=1, keepdims=True))
    return np.einsum('tsb,sbc->tbc', e / e.sum(axis=1, keepdims=True), v)
