# npattn: heads=4 kv-heads=2 layout=bhtd
import torch
def gqa(q, k, v, mask=None):
    r = q.shape[1] // k.shape[1]
    k = k.repeat(1, r, 1, 1)
    v = v.repeat(1, r, 1, 1)
    s = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
    if mask is not None:
        s = s.masked_fill(mask == 0, float("-inf"))
    return s.softmax(-1) @ v
