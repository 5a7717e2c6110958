# npattn: heads=2 causal=yes
import torch
from torch import nn


class RotarySelfAttention(nn.Module):
    def __init__(self, dim=16, heads=2, base=10000.0):
        super().__init__()
        self.heads, self.base = heads, base
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def rotate(self, x):
        d = x.shape[-1]
        freq = self.base ** (-torch.arange(0, d, 2, dtype=x.dtype) / d)
        angle = torch.outer(torch.arange(x.shape[-2], dtype=x.dtype), freq)
        z = torch.view_as_complex(x.reshape(*x.shape[:-1], d // 2, 2).contiguous())
        z = z * torch.polar(torch.ones_like(angle), angle)
        return torch.view_as_real(z).flatten(-2)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (z.view(b, t, self.heads, -1).transpose(1, 2) for z in self.qkv(x).chunk(3, -1))
        q, k = self.rotate(q), self.rotate(k)
        s = (q @ k.mT / q.shape[-1] ** .5).masked_fill(torch.ones(t, t).triu(1).bool(), -torch.inf)
        return self.out((s.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))
