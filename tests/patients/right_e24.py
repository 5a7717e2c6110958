# npattn: heads=2 width=8 causal=yes
import torch
from torch import nn


class SinkAttention(nn.Module):
    """A learned sink per head, as a gate on ordinary attention: softmax with one more logit s
    is the ordinary output times sigmoid(lse - s)."""

    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.sinks = nn.Parameter(torch.zeros(heads))

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        s = q @ k.mT / q.shape[-1] ** 0.5
        s = s.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), float("-inf"))
        lse = s.logsumexp(-1, keepdim=True)
        y = s.softmax(-1) @ v
        y = y * torch.sigmoid(lse - self.sinks.view(1, -1, 1, 1))
        return self.out(y.transpose(1, 2).reshape(b, t, c))
