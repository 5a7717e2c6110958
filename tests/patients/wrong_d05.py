# npattn: layout=bhtd causal=yes
import torch


def causal_attention(q, k, v):
    """Autoregressive attention: position t reads positions 0..t."""
    T = q.shape[-2]
    s = q @ k.mT * q.shape[-1] ** -0.5
    future = torch.ones(T, T, device=q.device).triu(0).bool()
    s = s.masked_fill(future, torch.finfo(s.dtype).min)
    return s.softmax(-1) @ v
