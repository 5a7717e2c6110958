# npattn: layout=bhtd causal=yes
import numpy as np


def alibi_slopes(n):
    return np.array([2.0 ** (-8.0 * (i + 1) / n) for i in range(n)])


def attn_alibi(q, k, v):
    """Attention with linear biases (Press et al.): the further a key, the lower its score."""
    B, H, T, D = q.shape
    m = alibi_slopes(H)
    i = np.arange(T)
    dist = i[:, None] - i[None, :]           # >= 0 for the past
    bias = m[:, None, None] * dist
    logits = np.einsum('bhid,bhjd->bhij', q, k) / np.sqrt(D) + bias
    logits = np.where(dist >= 0, logits, -np.inf)
    logits -= logits.max(-1, keepdims=True)
    w = np.exp(logits)
    w /= w.sum(-1, keepdims=True)
    return np.einsum('bhij,bhjd->bhid', w, v)
