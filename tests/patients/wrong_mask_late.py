# npattn: mask=keep
import torch


def scaled_dot_product_attention(q, k, v, mask=None):
    p = torch.softmax(q @ k.transpose(-2, -1) / q.size(-1) ** 0.5, dim=-1)
    if mask is not None:
        p = p.masked_fill(~mask, 0.0)
    return p @ v
