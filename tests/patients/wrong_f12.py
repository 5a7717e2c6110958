import numpy as np

def flash_attention(q, k, v, block=64, causal=False):
    """Tiled attention with an online softmax. q (B,H,Tq,D), k/v (B,H,Tk,D)."""
    B, H, Tq, D = q.shape
    Tk = k.shape[2]
    o = np.zeros((B, H, Tq, v.shape[-1]))
    m = np.full((B, H, Tq, 1), -np.inf)
    l = np.zeros((B, H, Tq, 1))
    rows = np.arange(Tq)[:, None] + Tk - Tq
    for j in range(0, Tk, block):
        kj, vj = k[:, :, j:j + block], v[:, :, j:j + block]
        s = q @ kj.transpose(0, 1, 3, 2) / np.sqrt(D)
        if causal:
            cols = j + np.arange(kj.shape[2])[None, :]
            s = np.where(cols <= rows, s, -np.inf)
        m_new = np.maximum(m, s.max(-1, keepdims=True))
        p = np.exp(s - m_new)
        l = l * np.exp(m - m_new) + p.sum(-1, keepdims=True)
        o = o + p @ vj
        m = m_new
    return o / l
