import numpy as np
def part(q, k, v):
    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    m = s.max(-1, keepdims=True)
    e = np.exp(s - m)
    z = e.sum(-1, keepdims=True)
    return e @ v / z, m + np.log(z)
def attention(q, k, v):
    n = k.shape[-2] // 2
    if n == 0:
        return part(q, k, v)[0]
    (o1, l1), (o2, l2) = part(q, k[..., :n, :], v[..., :n, :]), part(q, k[..., n:, :], v[..., n:, :])
    w = 1 / (1 + np.exp(l1 - l2))
    return w * o1 + (1 - w) * o2
