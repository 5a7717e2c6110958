import numpy as np


def flash_attention(Q, K, V, block=2):
    """FlashAttention forward in plain numpy, one head. Q (Tq, d), K (Tk, d), V (Tk, d)."""
    Tq, d = Q.shape
    Tk = K.shape[0]
    O = np.zeros((Tq, V.shape[1]))
    l = np.zeros((Tq, 1))
    m = np.full((Tq, 1), -np.inf)
    for j in range(0, Tk, block):
        Kj, Vj = K[j:j + block], V[j:j + block]
        S = Q @ Kj.T / np.sqrt(d)
        m_new = np.maximum(m, S.max(axis=1, keepdims=True))
        P = np.exp(S - m_new)
        alpha = np.exp(m - m_new)
        l = alpha * l + P.sum(axis=1, keepdims=True)
        O = O + P @ Vj
        m = m_new
    return O / l
