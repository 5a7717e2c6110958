# npattn: layout=bhtd causal=yes
import torch


def local_attention(q, k, v, window=3):
    """
    Sliding window causal attention. Each query sees `window` keys: itself and the
    window-1 tokens before it (fewer at the start of the sequence).
    """
    T, d = q.shape[-2:]
    idx = torch.arange(T)
    delta = idx.unsqueeze(1) - idx.unsqueeze(0)
    allowed = (delta >= 0) & (delta <= window)
    scores = torch.matmul(q, k.transpose(-1, -2)) / d ** 0.5
    scores = scores.masked_fill(~allowed, float('-inf'))
    return torch.matmul(torch.softmax(scores, dim=-1), v)
