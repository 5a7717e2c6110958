# npattn: heads=2 width=16 causal=no rotary=pairs
import torch
from torch import nn


def rotate_every_two(x):
    y = torch.stack((-x[..., 1::2], x[..., ::2]), dim=-1)
    return y.flatten(-2)


class RotaryAttention(nn.Module):
    def __init__(self, dim, heads, base=10000.0):
        super().__init__()
        self.heads, self.base = heads, base
        self.wq = nn.Linear(dim, dim, bias=False)
        self.wk = nn.Linear(dim, dim, bias=False)
        self.wv = nn.Linear(dim, dim, bias=False)
        self.wo = nn.Linear(dim, dim, bias=False)

    def tables(self, t, d, like):
        freq = self.base ** (-torch.arange(0, d, 2).to(like.dtype) / d)
        ang = torch.outer(torch.arange(t).to(like.dtype), freq)
        ang = torch.cat((ang, ang), dim=-1)
        return ang.cos(), ang.sin()

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = [w(x).view(b, t, self.heads, -1).transpose(1, 2) for w in (self.wq, self.wk, self.wv)]
        cos, sin = self.tables(t, c // self.heads, x)
        q = q * cos + rotate_every_two(q) * sin
        k = k * cos + rotate_every_two(k) * sin
        w = (q @ k.transpose(-1, -2) * (c // self.heads) ** -0.5).softmax(-1)
        return self.wo((w @ v).transpose(1, 2).reshape(b, t, c))
