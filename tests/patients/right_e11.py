# npattn: heads=2 width=8 causal=yes corner=lower
import torch
from torch import nn


class CausalAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.head = heads, width // heads
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x, cache=None):
        B, T, _ = x.shape
        q = self.q(x).view(B, T, self.heads, self.head)
        kv = torch.stack([self.k(x), self.v(x)]).view(2, B, T, self.heads, self.head)
        if cache is not None:
            kv = torch.cat([cache, kv], dim=2)
        k, v = kv
        s = torch.einsum("bqhd,bkhd->bhqk", q / self.head ** 0.5, k)
        # position of the first query = what the cache holds
        behind = torch.arange(kv.size(2)) - torch.arange(kv.size(2) - T, kv.size(2))[:, None]
        s = s.where(behind <= 0, torch.finfo(s.dtype).min)
        y = torch.einsum("bhqk,bkhd->bqhd", s.softmax(-1), v)
        return self.o(y.reshape(B, T, -1)), kv
