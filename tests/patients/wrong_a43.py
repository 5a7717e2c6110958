import numpy as np
def flash(Q, K, V, block=4):
    O = np.zeros(Q.shape[:-1] + V.shape[-1:])
    l = np.zeros(Q.shape[:-1] + (1,))
    m = np.full(Q.shape[:-1] + (1,), -np.inf)
    for j in range(0, K.shape[-2], block):
        k, v = K[..., j:j + block, :], V[..., j:j + block, :]
        s = Q @ k.swapaxes(-1, -2) / np.sqrt(Q.shape[-1])
        new = np.maximum(m, s.max(-1, keepdims=True))
        p = np.exp(s - new)
        l = l * np.exp(m - new) + p.sum(-1, keepdims=True)
        O = O + p @ v
        m = new
    return O / l
