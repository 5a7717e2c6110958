# npattn: layout=bhtd causal=yes
import torch


def get_slopes(n_heads):
    return torch.tensor([2.0 ** (-8.0 * i / n_heads) for i in range(n_heads)])


def alibi_attention(q, k, v):
    n, h, t, d = q.shape
    rel = torch.arange(t)[None, :] - torch.arange(t)[:, None]          # j - i, <= 0 in the past
    bias = rel * get_slopes(h).to(q.dtype)[:, None, None]
    s = (q @ k.transpose(-2, -1)) / d ** 0.5 + bias
    s = s.masked_fill(rel > 0, float("-inf"))
    return torch.softmax(s, dim=-1) @ v
