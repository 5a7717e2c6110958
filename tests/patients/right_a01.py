import numpy as np
def attention(Q, K, V, mask=None):
    S = K @ Q.swapaxes(-1, -2) / np.sqrt(Q.shape[-1])
    if mask is not None:
        S = np.where(mask.swapaxes(-1, -2), S, -np.inf)
    A = np.exp(S - S.max(axis=-2, keepdims=True))
    A /= A.sum(axis=-2, keepdims=True)
    return A.swapaxes(-1, -2) @ V
