# npattn: heads=2 causal=yes
import torch
from torch import nn


class Rope(nn.Module):
    def __init__(self, dim=16, heads=2):
        super().__init__()
        self.heads = heads
        self.wqkv = nn.Linear(dim, 3 * dim, bias=False)
        self.wo = nn.Linear(dim, dim, bias=False)

    def rotate(self, x):
        half = x.shape[-1] // 2
        freq = 10000.0 ** (-torch.arange(half, dtype=x.dtype) / half)
        a = torch.arange(x.shape[-2], dtype=x.dtype)[:, None] * freq
        x1, x2 = x[..., :half], x[..., half:]
        return torch.cat([x1 * a.cos() - x2 * a.sin(), x2 * a.cos() + x1 * a.sin()], -1)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (z.view(b, t, self.heads, -1).transpose(1, 2) for z in self.wqkv(x).chunk(3, -1))
        q, k, v = self.rotate(q), self.rotate(k), self.rotate(v)
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.wo(y.transpose(1, 2).reshape(b, t, d))
