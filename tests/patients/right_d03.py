import numpy as np


def attention(q, k, v):
    """Real or complex q, k, v of shape (B, T, D): scores are Re <q, k> / sqrt(d)."""
    s = np.real(np.einsum('bid,bjd->bij', q, np.conj(k))) / np.sqrt(q.shape[-1])
    a = np.exp(s - s.max(2)[:, :, None])
    return np.einsum('bij,bjd->bid', a / a.sum(2)[:, :, None], v)
