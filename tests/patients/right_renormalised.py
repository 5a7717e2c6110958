# npattn: mask=keep
import torch


def attention(q, k, v, mask=None):
    p = torch.softmax(q @ k.transpose(-2, -1) / q.size(-1) ** 0.5, dim=-1)
    if mask is not None:
        p = p * mask
        p = p / p.sum(-1, keepdim=True).clamp_min(1e-300)
    return p @ v
