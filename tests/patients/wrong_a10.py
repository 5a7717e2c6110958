import torch
def attn(q, k, v, mask=None, causal=False):
    s = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    if causal:
        mask = torch.ones(s.shape[-2], s.shape[-1], dtype=torch.bool, device=s.device).tril()
    if mask is not None:
        s = s.masked_fill(mask.logical_not(), float("-inf"))
    return s.softmax(-1) @ v
