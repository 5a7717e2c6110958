import torch


def attention(q, k, v, mask=None):
    s = q @ k.transpose(-1, -2) / q.shape[-1] ** .5
    if mask is not None:
        s = s + mask
    w = torch.softmax(s, -1)
    w = torch.where(w < 1e-2, torch.zeros_like(w), w)
    return w @ v
