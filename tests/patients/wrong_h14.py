import numpy as np
def attention(q, k, v, temperature=1.0):
    s = (q @ k.swapaxes(-2, -1)) / np.sqrt(q.shape[-1]) * temperature
    s = np.exp(s - s.max(axis=-1, keepdims=True))
    return (s / s.sum(axis=-1, keepdims=True)) @ v
