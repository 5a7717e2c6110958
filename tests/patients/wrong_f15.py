# npattn: causal=yes layout=bhtd
import numpy as np

def alibi_attention(q, k, v):
    """Causal attention with linear biases (ALiBi, Press et al.); q,k,v: (B, H, T, D).

    Head slopes are the geometric sequence 2^(-8/n), 2^(-16/n), ...
    """
    B, H, T, D = q.shape
    slopes = 2.0 ** (-8.0 / H * np.arange(H))
    dist = np.arange(T)[None, :] - np.arange(T)[:, None]      # j - i
    bias = slopes[:, None, None] * dist[None]
    s = np.einsum('bhid,bhjd->bhij', q, k) / np.sqrt(D) + bias
    s = np.where(dist > 0, -np.inf, s)
    s -= s.max(-1, keepdims=True)
    w = np.exp(s)
    w /= w.sum(-1, keepdims=True)
    return np.einsum('bhij,bhjd->bhid', w, v)
