# npattn: heads=2
import torch
from torch import nn


class CrossAttention(nn.Module):
    def __init__(self, dim=8, context_dim=8, heads=2):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_kv = nn.Linear(context_dim, 2 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim)

    def forward(self, x, context):
        q, (k, v) = self.to_q(x), self.to_kv(context).chunk(2, dim=-1)
        q, k, v = (z.unflatten(-1, (self.heads, -1)).transpose(1, 2) for z in (q, k, v))
        w = (q @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1)
        return self.to_out((w @ v).transpose(1, 2).flatten(-2))
