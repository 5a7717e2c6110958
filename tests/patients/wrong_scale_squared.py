import torch


def attention(q, k, v, is_causal=False):
    s = q @ k.transpose(-1, -2) / q.size(-1)
    if is_causal:
        s = s.masked_fill(torch.ones(s.shape[-2:], dtype=torch.bool).triu(1), float("-inf"))
    return s.softmax(-1) @ v
