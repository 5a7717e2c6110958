# npattn: layout=bhtd mask=keep
import numpy as np

def attention(Q, K, V, mask=None):
    # columns are queries here: S[b,h,k,q]
    S = K @ np.swapaxes(Q, -1, -2) / np.sqrt(Q.shape[-1])
    if mask is not None:
        S = np.where(np.swapaxes(mask, -1, -2), S, -np.inf)
    S = S - S.max(axis=-2, keepdims=True)
    W = np.exp(S)
    W = W / W.sum(axis=-2, keepdims=True)
    return np.swapaxes(W, -1, -2) @ V
