import numpy as np
def attention(Q, K, V):
    """Q (B, T, D), K (B, T, D), V (B, T, D); or are the keys (B, D, T)?"""
    S = Q @ K / np.sqrt(Q.shape[-1])
    S = np.exp(S - S.max(-1, keepdims=True))
    return S / S.sum(-1, keepdims=True) @ V
