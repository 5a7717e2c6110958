# npattn: heads=4 kv-heads=2 layout=bhtd backward=backward
import numpy as np
def forward(q, k, v):
    r = q.shape[1] // k.shape[1]
    K, V = np.repeat(k, r, axis=1), np.repeat(v, r, axis=1)
    s = q @ K.swapaxes(2, 3) / np.sqrt(q.shape[-1])
    e = np.exp(s - s.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    return p @ V, (q, K, V, p, r)
def backward(do, cache):
    q, K, V, p, r = cache
    dV = p.swapaxes(2, 3) @ do
    dp = do @ V.swapaxes(2, 3)
    ds = p * (dp - (dp * p).sum(-1, keepdims=True)) / np.sqrt(q.shape[-1])
    dK = ds.swapaxes(2, 3) @ q
    return ds @ K, dK[:, ::r], dV[:, ::r]
