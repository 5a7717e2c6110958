import numpy as np
import math

def flash_attn_padded(Q, K, V, block_size=32):
    # Q (T,d) K (S,d) V (S,d); also works with leading batch dims
    S, d = K.shape[-2:]
    bs = min(block_size, S)
    n = math.ceil(S / bs)
    pad = n * bs - S
    if pad:                                # make it a whole number of blocks
        width = [(0, 0)] * (K.ndim - 2) + [(0, pad), (0, 0)]
        K, V = np.pad(K, width), np.pad(V, width)
    m = np.full(Q.shape[:-1], -np.inf)
    l = np.zeros(Q.shape[:-1])
    O = np.zeros(Q.shape[:-1] + V.shape[-1:])
    for b in range(n):
        Kb = K[..., b * bs:(b + 1) * bs, :]
        Vb = V[..., b * bs:(b + 1) * bs, :]
        X = Q @ np.swapaxes(Kb, -1, -2) / math.sqrt(d)
        m2 = np.maximum(m, X.max(-1))
        P = np.exp(X - m2[..., None])
        c = np.exp(m - m2)
        l = c * l + P.sum(-1)
        O = c[..., None] * O + P @ Vb
        m = m2
    return O / l[..., None]
