# npattn: layout=bhtd causal=yes corner=lower
import math

import torch


def causal_attention(q, k, v):
    """The queries are the newest tokens, the keys all tokens so far."""
    tq, tk = q.size(-2), k.size(-2)
    att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
    hide = torch.triu(torch.ones(tq, tk, dtype=torch.bool, device=q.device), diagonal=1)
    att = att.masked_fill(hide, float("-inf"))
    return torch.softmax(att, dim=-1) @ v
