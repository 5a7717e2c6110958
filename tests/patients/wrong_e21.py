# npattn: layout=bhtd causal=yes
import torch
import torch.nn.functional as F


def windowed(q, k, v, window=3):
    """Causal sliding window: each token sees itself and the window - 1 tokens before it."""
    i = torch.arange(q.shape[-2])[:, None]
    j = torch.arange(k.shape[-2])[None, :]
    allowed = (i - j) < window
    s = (q @ k.transpose(-1, -2)) / q.shape[-1] ** 0.5
    s = torch.where(allowed, s, torch.tensor(-torch.inf, dtype=s.dtype))
    return F.softmax(s, -1) @ v
