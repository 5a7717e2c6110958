import numpy as np
def attention(x, y, z, mask=None):
    s = np.matmul(x, np.moveaxis(y, -1, -2)) * x.shape[-1] ** -0.5
    s = np.exp(s - np.max(s, -1, keepdims=True))
    w = s / np.sum(s, -1, keepdims=True)
    if mask is not None:
        w = np.where(mask, w, 0)
    return np.matmul(w, z)
