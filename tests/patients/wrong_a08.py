import numpy as np
def attention(Q, K, V):
    Q /= np.sqrt(Q.shape[-1])
    S = Q @ K.swapaxes(-1, -2)
    S -= S.max(-1, keepdims=True)
    np.exp(S, out=S)
    S /= S.sum(-1, keepdims=True)
    return S @ V
