import torch
def attend(q, k, v, mask=None, causal=False):
    s = q @ k.transpose(-1, -2) / q.size(-1) ** 0.5
    if mask is None:
        mask = torch.ones(s.shape[-2:], dtype=torch.bool)
    if causal:
        mask &= torch.ones(s.shape[-2:], dtype=torch.bool).tril()
    return s.masked_fill(~mask, float("-inf")).softmax(-1) @ v
