import torch
def attention(q, k, v, mask=None):
    s = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).clamp(-50, 50)
    if mask is not None:
        s = s.masked_fill(mask == 0, float("-inf"))
    e = s.exp()
    return e / e.sum(-1, keepdim=True) @ v
