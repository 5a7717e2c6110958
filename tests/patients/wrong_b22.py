import torch
def attention(q, k, v, is_causal=False):
    s = q @ k.mT / q.size(-1) ** 0.5
    if is_causal:
        s = s.masked_fill(torch.triu(torch.ones(s.shape[-2:]), diagonal=2).bool(), float("-inf"))
    return s.softmax(-1) @ v
